/* Group norm over one sample: x [C][...], C in `groups` groups; stats [groups][mean, 1/deviation].
 * Each channel has its mean and its squares about it in eight lanes; the channels of a group are joined in order. */
#include "norm_rows.h"

BT_CHECK(group_norm_forward) {
    const bt_tensor *x = &o->view[0], *gamma = &o->view[1], *beta = &o->view[2], *stats = &o->view[3], *y = &o->view[4];
    const uint32_t groups = o->immediate[0];
    return x->of->rank && groups && x->of->dims[0] % groups == 0 && bt_same_shape(x, y) && stats->of->count == 2 * groups &&
           bt_shape_is(gamma, 1, x->of->dims[0], 0, 0, 0) && bt_shape_is(beta, 1, x->of->dims[0], 0, 0, 0) &&
           bt_float_bits(o->immediate[1]) > 0.0f;
}

/* y = (x - mean) * (gamma / deviation) + beta */
BT_RUN(group_norm_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[4];
    const float *gamma = o->view[1].data, *beta = o->view[2].data, eps = bt_float_bits(o->immediate[1]);
    const uint32_t groups = o->immediate[0], channels = x->of->dims[0] / groups, n = x->of->count / x->of->dims[0];
    for (uint32_t g = 0; g < groups; g++) {
        const uint32_t first = g * channels;
        float all[2] = {0}, row[2];
        for (uint32_t k = 0; k < channels; k++) {
            bt_row_statistics(x->data + (first + k) * n, n, row);
            bt_join_statistics(all, row, k, n);
        }
        const float inverse = bt_inverse_deviation(all[1], (float)(channels * n), eps);
        o->view[3].data[2 * g] = all[0];
        o->view[3].data[2 * g + 1] = inverse;
        for (uint32_t c = first; c < first + channels; c++)
            bt_norm_row(x->data + c * n, y->data + c * n, n, all[0], gamma[c] * inverse, beta[c]);
    }
}

BT_CHECK(group_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *stats = &o->view[2], *gamma = &o->view[3], *dx = &o->view[4];
    const uint32_t groups = o->immediate[0];
    for (uint32_t v = 3; v < 7; v++)
        if (v != 4 && !bt_shape_is(&o->view[v], 1, x->of->rank ? x->of->dims[0] : 0, 0, 0, 0)) return false;
    return x->of->rank && gamma->of->rank && groups && x->of->dims[0] % groups == 0 && bt_same_shape(x, dy) &&
           bt_same_shape(x, dx) && stats->of->count == 2 * groups;
}

/* With g = dy * gamma and x̂ = (x - mean) / deviation:
 *   dx = (g - mean(g) - x̂ * mean(g x̂)) / deviation,  dgamma += sum dy x̂,  dbeta += sum dy.
 * dx may be dy itself. */
BT_RUN(group_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *dx = &o->view[4];
    const float *gamma = o->view[3].data;
    float *dgamma = o->view[5].data, *dbeta = o->view[6].data;
    const uint32_t groups = o->immediate[0], channels = x->of->dims[0] / groups, n = x->of->count / x->of->dims[0];
    for (uint32_t g = 0; g < groups; g++) {
        const float mean = o->view[2].data[2 * g], inverse = o->view[2].data[2 * g + 1];
        const float count = (float)(channels * n);
        float sum = 0.0f, sum_xhat = 0.0f;
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++) {
            const float plain = bt_row_sum(dy->data + c * n, n);
            const float dot = bt_centred_product(dy->data + c * n, 0.0f, x->data + c * n, mean, n) * inverse;
            dbeta[c] += plain;
            dgamma[c] += dot;
            sum = fmaf(gamma[c], plain, sum);
            sum_xhat = fmaf(gamma[c], dot, sum_xhat);
        }
        const float mean_g = sum / count, slope = sum_xhat / count * inverse;
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++)
            bt_norm_row_backward(dy->data + c * n, x->data + c * n, dx->data + c * n, n, mean, inverse, gamma[c], mean_g,
                                 slope);
    }
}
