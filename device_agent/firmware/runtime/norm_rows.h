/* What all group norms share: one channel at a time, so that a norm over whole tensors and one whose channels come and go
 * in a loop give the same bits. Sums run in eight lanes. */
#ifndef BIOTRAIN_NORM_ROWS_H
#define BIOTRAIN_NORM_ROWS_H

#include "kernel.h"

/* Sums in eight lanes (kernels/norm_rows.c), built once for each set of kernels. */
#define bt_row_sum BT_JOIN(bt_row_sum, of, BT_KERNEL_SET)
#define bt_centred_product BT_JOIN(bt_centred_product, of, BT_KERNEL_SET)
float bt_row_sum(const float *x, uint32_t n);
/* Sum of (a - mean_a) * (b - mean_b); with b = a of squares, with a mean of 0 of plain values. */
float bt_centred_product(const float *a, float mean_a, const float *b, float mean_b, uint32_t n);

/* The same of four rows at once, so that no sum waits for itself: out[r] of row r. */
#define bt_four_sums BT_JOIN(bt_four_sums, of, BT_KERNEL_SET)
#define bt_four_products BT_JOIN(bt_four_products, of, BT_KERNEL_SET)
enum { BT_FOUR = 4 };
void bt_four_sums(const float *const x[BT_FOUR], uint32_t n, float out[BT_FOUR]);
void bt_four_products(const float *const a[BT_FOUR], const float mean_a[BT_FOUR], const float *const b[BT_FOUR],
                      const float mean_b[BT_FOUR], uint32_t n, float out[BT_FOUR]);

/* Of few long rows, whose lanes are dealt out to the cores: sums of a, of (a - mean)^2, and of a (b - mean_b). Means and
 * results of the rows are two values apart. */
#define bt_shared_sums BT_JOIN(bt_shared_sums, of, BT_KERNEL_SET)
#define bt_shared_squares BT_JOIN(bt_shared_squares, of, BT_KERNEL_SET)
#define bt_shared_products BT_JOIN(bt_shared_products, of, BT_KERNEL_SET)
void bt_shared_sums(bt_port *port, const float *a, uint32_t rows, uint32_t n, float *out);
void bt_shared_squares(bt_port *port, const float *a, const float *mean, uint32_t rows, uint32_t n, float *out);
void bt_shared_products(bt_port *port, const float *a, const float *b, const float *mean_b, uint32_t rows, uint32_t n,
                        float *out);
/* So few channels that cores would be idle. */
static inline bool bt_few_rows(uint32_t channels, uint32_t n) {
    return BT_STRETCHES > 1 && channels < BT_STRETCHES && n >= 128;
}
/* Stretches of one row, for work that is done element by element. */
static inline uint32_t bt_row_pieces(uint32_t channels, uint32_t n) { return bt_few_rows(channels, n) ? BT_STRETCHES : 1; }

/* A channel's mean and its sum of squares about that mean: offsets must not cancel digits. */
static inline void bt_row_statistics(const float *x, uint32_t n, float out[2]) {
    out[0] = bt_row_sum(x, n) / (float)n;
    out[1] = bt_centred_product(x, out[0], x, out[0], n);
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
    BT_UNROLL
    for (uint32_t i = 0; i < n; i++) y[i] = fmaf(x[i] - mean, gain, beta);
}

/* dx = (gamma dy - mean_g - (x - mean) slope) * inverse; dx may be dy or x. */
static inline void bt_norm_row_backward(const float *dy, const float *x, float *dx, uint32_t n, float mean, float inverse,
                                        float gamma, float mean_g, float slope) {
    BT_UNROLL
    for (uint32_t i = 0; i < n; i++) dx[i] = fmaf(mean - x[i], slope, fmaf(gamma, dy[i], -mean_g)) * inverse;
}

#endif
