/* Narrow storage: bf16 for what is kept for the backward pass, int16 with a scale for the input window. */
#include "kernel.h"

/* The upper half of a float32, to the nearest, ties to even; what is beyond the largest becomes infinite. NaN stays. */
static inline uint32_t round_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* y = bf16(x), x = y: x any shape, y the same. Operations behind it in the same round read x, those of later ones y. */
BT_CHECK(narrow_bf16) { return o->view[0].of->rank > 0 && bt_same_shape(&o->view[0], &o->view[1]); }

static void narrow_stretch(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const uint32_t count = o->view[0].of->count, end = bt_stretch_end(count, index);
    float *x = o->view[0].data;
    uint16_t *y = (uint16_t *)(void *)o->view[1].data;
    for (uint32_t i = bt_stretch_begin(count, index); i < end; i++) {
        const uint32_t half = round_bf16(x[i]);
        y[i] = (uint16_t)half;
        x[i] = bt_float_bits(half << 16);
    }
}

BT_RUN(narrow_bf16) { bt_stretches(o->run->port, narrow_stretch, o, o->view[0].of->count); }

/* y = x */
BT_CHECK(widen_bf16) { return o->view[0].of->rank > 0 && bt_same_shape(&o->view[0], &o->view[1]); }

static void widen_stretch(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const uint32_t count = o->view[0].of->count, end = bt_stretch_end(count, index);
    const uint16_t *x = (const uint16_t *)(const void *)o->view[0].data;
    float *y = o->view[1].data;
    for (uint32_t i = bt_stretch_begin(count, index); i < end; i++) y[i] = bt_float_bits((uint32_t)x[i] << 16);
}

BT_RUN(widen_bf16) { bt_stretches(o->run->port, widen_stretch, o, o->view[0].of->count); }

/* Of each channel: scale[c] = max |x[c]| / 32767, y[c][t] = x[c][t] / scale[c] to the nearest, ties to even; 0 where the
 * scale is. x, y [C][T], scale [C]. A value that is not finite makes the scale, and so all of the channel, NaN. */
BT_CHECK(narrow_counts) {
    const bt_tensor *x = &o->view[0];
    return x->of->rank == 2 && bt_same_shape(x, &o->view[2]) && bt_shape_is(&o->view[1], 1, x->of->dims[0], 0, 0, 0);
}

static void narrow_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->dims[1];
    const float *x = o->view[0].data + c * n;
    int16_t *y = (int16_t *)(void *)o->view[2].data + c * n;
    float most = 0.0f;
    for (uint32_t t = 0; t < n; t++) {
        const float size = fabsf(x[t]);
        if (!(size <= most)) most = isfinite(size) ? size : NAN; /* NaN stays: nothing is <= it */
        if (isnan(most)) break;
    }
    const float scale = most / 32767.0f;
    o->view[1].data[c] = scale;
    for (uint32_t t = 0; t < n; t++) {
        /* within +-32768: adding and taking away 1.5 * 2^23 rounds to even */
        const float ratio = scale > 0.0f ? x[t] / scale : 0.0f;
        const float whole = (ratio + 12582912.0f) - 12582912.0f;
        y[t] = (int16_t)(whole > 32767.0f ? 32767.0f : whole < -32767.0f ? -32767.0f : whole);
    }
}

BT_RUN(narrow_counts) {
    bt_port_parallel(o->run->port, narrow_channel, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
}

/* y[c][t] = x[c][t] * scale[c] */
BT_CHECK(widen_counts) {
    const bt_tensor *x = &o->view[0];
    return x->of->rank == 2 && bt_same_shape(x, &o->view[2]) && bt_shape_is(&o->view[1], 1, x->of->dims[0], 0, 0, 0);
}

static void widen_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->dims[1];
    const int16_t *x = (const int16_t *)(const void *)o->view[0].data + c * n;
    const float scale = o->view[1].data[c];
    float *y = o->view[2].data + c * n;
    for (uint32_t t = 0; t < n; t++) y[t] = (float)x[t] * scale;
}

BT_RUN(widen_counts) {
    bt_port_parallel(o->run->port, widen_channel, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
}
