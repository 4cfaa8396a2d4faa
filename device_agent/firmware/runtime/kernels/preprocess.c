/* From the ADC's counts to the model's input. All tensors are [channels][samples]; all filters are causal. */
#include "kernel.h"

/* y[c][t] = counts[c][t] * scale[c], from the window that the caller gave */
BT_CHECK(decode_counts) { return o->view[0].of->rank == 2; }

static void decode_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const bt_window *window = &o->run->window;
    const uint32_t n = o->view[0].of->dims[1];
    const int16_t *counts = window->counts + c * n;
    float *y = o->view[0].data + c * n;
    BT_UNROLL
    for (uint32_t t = 0; t < n; t++) y[t] = (float)counts[t] * window->scale[c];
}

BT_RUN(decode_counts) {
    bt_port_parallel(o->run->port, decode_channel, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
}

/* y[o][t] = sum over c of m[o][c] * x[c][t]: channel order, derivations, re-referencing. Not in place. */
BT_CHECK(mix_channels) {
    const bt_tensor *x = &o->view[0], *m = &o->view[1], *y = &o->view[2];
    return x->of->rank == 2 && y->of->rank == 2 && bt_shape_is(m, 2, y->of->dims[0], x->of->dims[0], 0, 0) && x->of->dims[1] == y->of->dims[1];
}

BT_RUN(mix_channels) {
    const bt_tensor *x = &o->view[0], *m = &o->view[1], *y = &o->view[2];
    const uint32_t n = x->of->dims[1];
    memset(y->data, 0, y->of->count * sizeof(float));
    for (uint32_t to = 0; to < y->of->dims[0]; to++)
        for (uint32_t from = 0; from < x->of->dims[0]; from++)
            for (uint32_t t = 0; t < n; t++)
                y->data[to * n + t] = fmaf(m->data[to * x->of->dims[0] + from], x->data[from * n + t], y->data[to * n + t]);
}

/* Second-order sections [s][b0 b1 b2 a1 a2], transposed direct form II, at rest at the window's start. */
BT_CHECK(filter_sections) {
    const bt_tensor *x = &o->view[0], *sections = &o->view[1], *y = &o->view[2];
    return x->of->rank == 2 && bt_same_shape(x, y) && sections->of->rank == 2 && sections->of->dims[1] == 5;
}

BT_RUN(filter_sections) {
    const bt_tensor *x = &o->view[0], *sections = &o->view[1], *y = &o->view[2];
    const uint32_t n = x->of->dims[1];
    if (y->data != x->data) memcpy(y->data, x->data, x->of->count * sizeof(float));
    for (uint32_t c = 0; c < x->of->dims[0]; c++)
        for (uint32_t s = 0; s < sections->of->dims[0]; s++) {
            const float *k = sections->data + 5 * s;
            float *row = y->data + c * n, z1 = 0.0f, z2 = 0.0f;
            for (uint32_t t = 0; t < n; t++) {
                const float in = row[t], out = fmaf(k[0], in, z1);
                z1 = fmaf(-k[3], out, fmaf(k[1], in, z2));
                z2 = fmaf(-k[4], out, k[2] * in);
                row[t] = out;
            }
        }
}

/* y[c][t] = (x[c][t] - offset[c]) * gain[c] */
BT_CHECK(scale_channels) {
    const bt_tensor *x = &o->view[0], *offset = &o->view[1], *gain = &o->view[2], *y = &o->view[3];
    return x->of->rank == 2 && bt_same_shape(x, y) && bt_shape_is(offset, 1, x->of->dims[0], 0, 0, 0) &&
           bt_shape_is(gain, 1, x->of->dims[0], 0, 0, 0);
}

BT_RUN(scale_channels) {
    const bt_tensor *x = &o->view[0], *y = &o->view[3];
    const float *offset = o->view[1].data, *gain = o->view[2].data;
    for (uint32_t c = 0; c < x->of->dims[0]; c++)
        for (uint32_t i = c * x->of->dims[1]; i < (c + 1) * x->of->dims[1]; i++)
            y->data[i] = (x->data[i] - offset[c]) * gain[c];
}

/* y[c][t] = x[c][t] - mean over the window of x[c] */
BT_CHECK(centre_channels) { return o->view[0].of->rank == 2 && bt_same_shape(&o->view[0], &o->view[1]); }

BT_RUN(centre_channels) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    const uint32_t n = x->of->dims[1];
    for (uint32_t c = 0; c < x->of->dims[0]; c++) {
        const float mean = bt_sum(x->data + c * n, n) / (float)n;
        for (uint32_t i = c * n; i < (c + 1) * n; i++) y->data[i] = x->data[i] - mean;
    }
}
