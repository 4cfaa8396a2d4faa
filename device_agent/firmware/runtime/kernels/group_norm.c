/* Group norm over one sample: x [C][...], C in `groups` groups; stats [groups][mean, 1/deviation].
 * Sums run over each channel in eight lanes, then over the channels of a group in order. */
#include "kernel.h"

BT_CHECK(group_norm_forward) {
    const bt_tensor *x = &o->view[0], *gamma = &o->view[1], *beta = &o->view[2], *stats = &o->view[3], *y = &o->view[4];
    const uint32_t groups = o->immediate[0];
    return x->rank && groups && x->dims[0] % groups == 0 && bt_same_shape(x, y) && stats->count == 2 * groups &&
           bt_shape_is(gamma, 1, x->dims[0], 0, 0, 0) && bt_shape_is(beta, 1, x->dims[0], 0, 0, 0) &&
           bt_float_bits(o->immediate[1]) > 0.0f;
}

static float sum_of_squares(const float *x, uint32_t n, float mean) {
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

/* y = (x - mean) * (gamma / deviation) + beta; two sweeps for the statistics: offsets must not cancel digits */
BT_RUN(group_norm_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[4];
    const float *gamma = o->view[1].data, *beta = o->view[2].data, eps = bt_float_bits(o->immediate[1]);
    const uint32_t groups = o->immediate[0], channels = x->dims[0] / groups, n = x->count / x->dims[0];
    for (uint32_t g = 0; g < groups; g++) {
        const uint32_t first = g * channels;
        const float count = (float)(channels * n);
        float sum = 0.0f, squares = 0.0f;
        for (uint32_t c = first; c < first + channels; c++) sum += bt_sum(x->data + c * n, n);
        const float mean = sum / count;
        for (uint32_t c = first; c < first + channels; c++) squares += sum_of_squares(x->data + c * n, n, mean);
        const float inverse = 1.0f / sqrtf(squares / count + eps);
        o->view[3].data[2 * g] = mean;
        o->view[3].data[2 * g + 1] = inverse;
        for (uint32_t c = first; c < first + channels; c++) {
            const float gain = gamma[c] * inverse;
            for (uint32_t i = c * n; i < (c + 1) * n; i++) y->data[i] = fmaf(x->data[i] - mean, gain, beta[c]);
        }
    }
}

BT_CHECK(group_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *stats = &o->view[2], *gamma = &o->view[3], *dx = &o->view[4];
    const uint32_t groups = o->immediate[0];
    for (uint32_t v = 3; v < 7; v++)
        if (v != 4 && !bt_shape_is(&o->view[v], 1, x->rank ? x->dims[0] : 0, 0, 0, 0)) return false;
    return x->rank && gamma->rank && groups && x->dims[0] % groups == 0 && bt_same_shape(x, dy) &&
           bt_same_shape(x, dx) && stats->count == 2 * groups;
}

/* sum of dy * (x - mean), in eight lanes */
static float centred_dot(const float *dy, const float *x, uint32_t n, float mean) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] = fmaf(dy[i + j], x[i + j] - mean, lane[j]);
    for (uint32_t j = 0; i + j < n; j++) lane[j] = fmaf(dy[i + j], x[i + j] - mean, lane[j]);
    return bt_fold_lanes(lane);
}

/* With g = dy * gamma and x̂ = (x - mean) / deviation:
 *   dx = (g - mean(g) - x̂ * mean(g x̂)) / deviation,  dgamma += sum dy x̂,  dbeta += sum dy.
 * dx may be dy itself. */
BT_RUN(group_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *dx = &o->view[4];
    const float *gamma = o->view[3].data;
    float *dgamma = o->view[5].data, *dbeta = o->view[6].data;
    const uint32_t groups = o->immediate[0], channels = x->dims[0] / groups, n = x->count / x->dims[0];
    for (uint32_t g = 0; g < groups; g++) {
        const float mean = o->view[2].data[2 * g], inverse = o->view[2].data[2 * g + 1];
        const float count = (float)(channels * n);
        float sum = 0.0f, sum_xhat = 0.0f;
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++) {
            const float plain = bt_sum(dy->data + c * n, n);
            const float dot = centred_dot(dy->data + c * n, x->data + c * n, n, mean) * inverse;
            dbeta[c] += plain;
            dgamma[c] += dot;
            sum = fmaf(gamma[c], plain, sum);
            sum_xhat = fmaf(gamma[c], dot, sum_xhat);
        }
        const float mean_g = sum / count, slope = sum_xhat / count * inverse;
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++)
            for (uint32_t i = c * n; i < (c + 1) * n; i++) {
                const float centred = fmaf(gamma[c], dy->data[i], -mean_g);
                dx->data[i] = fmaf(mean - x->data[i], slope, centred) * inverse;
            }
    }
}
