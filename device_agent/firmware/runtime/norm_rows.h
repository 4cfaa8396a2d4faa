/* What all group norms share: one channel at a time, so that a norm over whole tensors and one whose channels come and go
 * in a loop give the same bits. Sums run in eight lanes. */
#ifndef BIOTRAIN_NORM_ROWS_H
#define BIOTRAIN_NORM_ROWS_H

#include "arithmetic.h"

/* Sum of (x - mean)^2. */
static inline float bt_sum_of_squares(const float *x, uint32_t n, float mean) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) {
            const float d = x[i + j] - mean;
            lane[j] = fmaf(d, d, lane[j]);
        }
    for (uint32_t j = 0; i + j < n; j++) {
        const float d = x[i + j] - mean;
        lane[j] = fmaf(d, d, lane[j]);
    }
    return bt_fold_lanes(lane);
}

/* Sum of dy * (x - mean). */
static inline float bt_centred_dot(const float *dy, const float *x, uint32_t n, float mean) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] = fmaf(dy[i + j], x[i + j] - mean, lane[j]);
    for (uint32_t j = 0; i + j < n; j++) lane[j] = fmaf(dy[i + j], x[i + j] - mean, lane[j]);
    return bt_fold_lanes(lane);
}

/* A channel's mean and its sum of squares about that mean: offsets must not cancel digits. */
static inline void bt_row_statistics(const float *x, uint32_t n, float out[2]) {
    out[0] = bt_sum(x, n) / (float)n;
    out[1] = bt_sum_of_squares(x, n, out[0]);
}

/* Channel number `k` (0-based) of a group joins the ones before it (Chan, Golub and LeVeque, 1983):
 * all[0] is the mean, all[1] the sum of squares about it, of k channels of n values each. */
static inline void bt_join_statistics(float all[2], const float row[2], uint32_t k, uint32_t n) {
    const float delta = row[0] - all[0], share = 1.0f / (float)(k + 1);
    all[0] = k ? fmaf(delta, share, all[0]) : row[0];
    all[1] = k ? all[1] + fmaf(delta * delta, (float)n * (float)k * share, row[1]) : row[1];
}

static inline float bt_inverse_deviation(float squares, float count, float eps) {
    return 1.0f / sqrtf(squares / count + eps);
}

/* y = (x - mean) * gain + beta; in place or not. */
static inline void bt_norm_row(const float *x, float *y, uint32_t n, float mean, float gain, float beta) {
    for (uint32_t i = 0; i < n; i++) y[i] = fmaf(x[i] - mean, gain, beta);
}

/* dx = (gamma dy - mean_g - (x - mean) slope) * inverse; dx may be dy or x. */
static inline void bt_norm_row_backward(const float *dy, const float *x, float *dx, uint32_t n, float mean, float inverse,
                                        float gamma, float mean_g, float slope) {
    for (uint32_t i = 0; i < n; i++) dx[i] = fmaf(mean - x[i], slope, fmaf(gamma, dy[i], -mean_g)) * inverse;
}

#endif
