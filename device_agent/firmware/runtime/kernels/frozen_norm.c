/* Batch norm with its running statistics held: y = (x - mean) * gamma / sqrt(var + eps) + beta, x [C][...]. */
#include "norm_rows.h"

static bool per_channel(const bt_operands *o, const bt_tensor *x, uint32_t from, uint32_t to) {
    if (!x->of->rank) return false;
    for (uint32_t v = from; v < to; v++)
        if (!bt_shape_is(&o->view[v], 1, x->of->dims[0], 0, 0, 0)) return false;
    return bt_float_bits(o->immediate[0]) > 0.0f;
}

BT_CHECK(frozen_norm_forward) {
    return per_channel(o, &o->view[0], 1, 5) && bt_same_shape(&o->view[0], &o->view[5]);
}

BT_RUN(frozen_norm_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[5];
    const float *mean = o->view[1].data, *var = o->view[2].data, *gamma = o->view[3].data, *beta = o->view[4].data;
    const uint32_t n = x->of->count / x->of->dims[0];
    for (uint32_t c = 0; c < x->of->dims[0]; c++) {
        const float gain = gamma[c] / sqrtf(var[c] + bt_float_bits(o->immediate[0]));
        for (uint32_t i = c * n; i < (c + 1) * n; i++) y->data[i] = fmaf(x->data[i] - mean[c], gain, beta[c]);
    }
}

BT_CHECK(frozen_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *dx = &o->view[5];
    return per_channel(o, x, 2, 5) && per_channel(o, x, 6, 8) && bt_same_shape(x, dy) && bt_same_shape(x, dx);
}

/* dx = dy * gamma / deviation (dx may be dy), dgamma += sum dy (x - mean) / deviation, dbeta += sum dy */
BT_RUN(frozen_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *dx = &o->view[5];
    const float *mean = o->view[2].data, *var = o->view[3].data, *gamma = o->view[4].data;
    const uint32_t n = x->of->count / x->of->dims[0];
    for (uint32_t c = 0; c < x->of->dims[0]; c++) {
        const float inverse = 1.0f / sqrtf(var[c] + bt_float_bits(o->immediate[0])), gain = gamma[c] * inverse;
        const float *row = dy->data + c * n;
        o->view[6].data[c] += bt_centred_product(row, 0.0f, x->data + c * n, mean[c], n) * inverse;
        o->view[7].data[c] += bt_row_sum(row, n);
        for (uint32_t i = c * n; i < (c + 1) * n; i++) dx->data[i] = dy->data[i] * gain;
    }
}
