/* Pooling whose windows the border may cut: with padding, with ceil_mode, or adaptive to the size of y.
 * x [C][H][W], y [C][Ho][Wo]; immediates KH, KW, stride H, stride W, top, left, count_padding (0 or 1).
 * Strides of 0: adaptive, window i of n covers [floor(i size / n), ceil((i + 1) size / n)).
 * An average divides by the cells inside x; with count_padding, by those inside x and its padding.
 * A sum runs over rows, then columns; a maximum that occurs twice is the first one, as in torch. */
#include "kernel.h"

typedef struct span {
    uint32_t from, to, cells; /* cells: what an average divides by */
} span;

static span window(uint32_t i, uint32_t n, uint32_t size, uint32_t kernel, uint32_t stride, uint32_t pad, bool counted) {
    if (!stride) {
        const uint32_t from = (uint32_t)((uint64_t)i * size / n);
        const uint32_t to = (uint32_t)(((uint64_t)(i + 1) * size + n - 1) / n);
        return (span){from, to, to - from};
    }
    const uint32_t begin = i * stride, end = begin + kernel; /* in the padded signal */
    const uint32_t from = begin < pad ? 0 : begin - pad;
    uint32_t to = end < pad ? 0 : end - pad;
    if (to > size) to = size;
    const uint32_t last = end < size + 2 * pad ? end : size + 2 * pad;
    return (span){from, to, counted ? last - begin : to - from};
}

/* Every window holds at least one cell of x. */
static bool covers(uint32_t n, uint32_t size, uint32_t kernel, uint32_t stride, uint32_t pad) {
    if (!stride) return true;
    if (stride > 1u << 16 || kernel > 1u << 16 || !kernel || pad >= kernel) return false;
    return (uint64_t)(n - 1) * stride < (uint64_t)size + pad;
}

static bool pool_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    return x->of->rank == 3 && y->of->rank == 3 && x->of->dims[0] == y->of->dims[0] && m[6] < 2 && !m[2] == !m[3] &&
           covers(y->of->dims[1], x->of->dims[1], m[0], m[2], m[4]) && covers(y->of->dims[2], x->of->dims[2], m[1], m[3], m[5]);
}

static span rows_of(const bt_operands *o, const bt_tensor *x, const bt_tensor *y, uint32_t r) {
    const uint32_t *m = o->immediate;
    return window(r, y->of->dims[1], x->of->dims[1], m[0], m[2], m[4], m[6]);
}

static span columns_of(const bt_operands *o, const bt_tensor *x, const bt_tensor *y, uint32_t i) {
    const uint32_t *m = o->immediate;
    return window(i, y->of->dims[2], x->of->dims[2], m[1], m[3], m[5], m[6]);
}

BT_CHECK(clipped_average_pool_forward) { return pool_fits(o, &o->view[0], &o->view[1]); }

BT_RUN(clipped_average_pool_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    float *to = y->data;
    for (uint32_t c = 0; c < y->of->dims[0]; c++)
        for (uint32_t r = 0; r < y->of->dims[1]; r++)
            for (uint32_t i = 0; i < y->of->dims[2]; i++) {
                const span h = rows_of(o, x, y, r), w = columns_of(o, x, y, i);
                float sum = 0.0f;
                for (uint32_t a = h.from; a < h.to; a++)
                    for (uint32_t b = w.from; b < w.to; b++) sum += x->data[(c * x->of->dims[1] + a) * x->of->dims[2] + b];
                *to++ = sum / (float)(h.cells * w.cells);
            }
}

BT_CHECK(clipped_average_pool_backward) { return pool_fits(o, &o->view[1], &o->view[0]); }

BT_RUN(clipped_average_pool_backward) {
    const bt_tensor *dy = &o->view[0], *dx = &o->view[1];
    const float *from = dy->data;
    memset(dx->data, 0, dx->of->count * sizeof(float));
    for (uint32_t c = 0; c < dy->of->dims[0]; c++)
        for (uint32_t r = 0; r < dy->of->dims[1]; r++)
            for (uint32_t i = 0; i < dy->of->dims[2]; i++) {
                const span h = rows_of(o, dx, dy, r), w = columns_of(o, dx, dy, i);
                const float share = *from++ / (float)(h.cells * w.cells);
                for (uint32_t a = h.from; a < h.to; a++)
                    for (uint32_t b = w.from; b < w.to; b++) dx->data[(c * dx->of->dims[1] + a) * dx->of->dims[2] + b] += share;
            }
}

/* Where in x the maximum of output (c, r, i) stands; NaN wins. */
static uint32_t find_maximum(const bt_operands *o, const bt_tensor *x, const bt_tensor *y, uint32_t c, uint32_t r,
                             uint32_t i) {
    const span h = rows_of(o, x, y, r), w = columns_of(o, x, y, i);
    uint32_t best = (c * x->of->dims[1] + h.from) * x->of->dims[2] + w.from;
    for (uint32_t a = h.from; a < h.to; a++)
        for (uint32_t b = w.from; b < w.to; b++) {
            const uint32_t at = (c * x->of->dims[1] + a) * x->of->dims[2] + b;
            if (x->data[at] > x->data[best] || isnan(x->data[at])) best = at;
        }
    return best;
}

BT_CHECK(clipped_max_pool_forward) { return pool_fits(o, &o->view[0], &o->view[1]); }

BT_RUN(clipped_max_pool_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    float *to = y->data;
    for (uint32_t c = 0; c < y->of->dims[0]; c++)
        for (uint32_t r = 0; r < y->of->dims[1]; r++)
            for (uint32_t i = 0; i < y->of->dims[2]; i++) *to++ = x->data[find_maximum(o, x, y, c, r, i)];
}

BT_CHECK(clipped_max_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]) && bt_same_shape(&o->view[1], &o->view[2]);
}

BT_RUN(clipped_max_pool_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1], *dx = &o->view[2];
    const float *from = dy->data;
    memset(dx->data, 0, dx->of->count * sizeof(float));
    for (uint32_t c = 0; c < dy->of->dims[0]; c++)
        for (uint32_t r = 0; r < dy->of->dims[1]; r++)
            for (uint32_t i = 0; i < dy->of->dims[2]; i++) dx->data[find_maximum(o, x, dy, c, r, i)] += *from++;
}
