/* Layer norm: x [rows][n], gamma and beta [n] in the shape of the normalised dimensions, stats [rows][mean, 1/deviation].
 * Sums run over a row in eight lanes; two sweeps, so that offsets do not cancel digits. */
#include "kernel.h"

static bool rows_fit(const bt_tensor *x, const bt_tensor *gamma, const bt_tensor *other, const bt_tensor *stats) {
    return x->of->rank && gamma->of->rank && stats->of->rank && gamma->of->count == other->of->count && x->of->count % gamma->of->count == 0 &&
           stats->of->count / 2 == x->of->count / gamma->of->count && stats->of->count % 2 == 0;
}

BT_CHECK(layer_norm_forward) {
    return rows_fit(&o->view[0], &o->view[1], &o->view[2], &o->view[3]) && bt_same_shape(&o->view[0], &o->view[4]) &&
           bt_float_bits(o->immediate[0]) > 0.0f;
}

/* y = (x - mean) * inverse * gamma + beta; in place or not */
BT_RUN(layer_norm_forward) {
    const float *gamma = o->view[1].data, *beta = o->view[2].data;
    const uint32_t n = o->view[1].of->count, rows = o->view[0].of->count / n;
    for (uint32_t r = 0; r < rows; r++) {
        const float *x = o->view[0].data + r * n;
        float *y = o->view[4].data + r * n, lane[BT_LANES] = {0};
        const float mean = bt_sum(x, n) / (float)n;
        for (uint32_t i = 0; i < n; i++) lane[i % BT_LANES] = fmaf(x[i] - mean, x[i] - mean, lane[i % BT_LANES]);
        const float inverse = 1.0f / sqrtf(bt_fold_lanes(lane) / (float)n + bt_float_bits(o->immediate[0]));
        o->view[3].data[2 * r] = mean;
        o->view[3].data[2 * r + 1] = inverse;
        for (uint32_t i = 0; i < n; i++) y[i] = fmaf((x[i] - mean) * inverse, gamma[i], beta[i]);
    }
}

BT_CHECK(layer_norm_backward) {
    return rows_fit(&o->view[1], &o->view[3], &o->view[5], &o->view[2]) && bt_same_shape(&o->view[0], &o->view[1]) &&
           bt_same_shape(&o->view[0], &o->view[4]) && o->view[6].of->count == o->view[3].of->count;
}

/* With g = dy * gamma and x̂ = (x - mean) * inverse:
 *   dx = (g - mean(g) - x̂ mean(g x̂)) inverse,  dgamma += dy x̂,  dbeta += dy, rows ascending. dx may be dy. */
BT_RUN(layer_norm_backward) {
    const float *gamma = o->view[3].data;
    float *dgamma = o->view[5].data, *dbeta = o->view[6].data;
    const uint32_t n = o->view[3].of->count, rows = o->view[1].of->count / n;
    for (uint32_t r = 0; r < rows; r++) {
        const float *dy = o->view[0].data + r * n, *x = o->view[1].data + r * n;
        const float mean = o->view[2].data[2 * r], inverse = o->view[2].data[2 * r + 1];
        float *dx = o->view[4].data + r * n, plain[BT_LANES] = {0}, dot[BT_LANES] = {0};
        for (uint32_t i = 0; i < n; i++) {
            const float xhat = (x[i] - mean) * inverse, g = dy[i] * gamma[i];
            dgamma[i] = fmaf(dy[i], xhat, dgamma[i]);
            dbeta[i] += dy[i];
            plain[i % BT_LANES] += g;
            dot[i % BT_LANES] = fmaf(g, xhat, dot[i % BT_LANES]);
        }
        const float mean_g = bt_fold_lanes(plain) / (float)n, slope = bt_fold_lanes(dot) / (float)n;
        for (uint32_t i = 0; i < n; i++)
            dx[i] = fmaf(-(x[i] - mean) * inverse, slope, fmaf(dy[i], gamma[i], -mean_g)) * inverse;
    }
}
