/* A convolution's sizes, read from its operands. */
#ifndef BIOTRAIN_CONV_SHAPE_H
#define BIOTRAIN_CONV_SHAPE_H

#include "norm_rows.h"

typedef struct conv {
    int32_t cin, h, w, cout, kh, kw, ho, wo, groups, group_in, group_out;
    int32_t pitch; /* values from one row of x to the next: w, unless rows were joined */
    int32_t stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w;
} conv;

static inline int32_t conv_least(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t conv_most(int32_t a, int32_t b) { return a > b ? a : b; }

/* `join`: where the kernel has one column and strides and padding do nothing, all outputs are one row. */
static __attribute__((noinline)) conv conv_read(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y, bool join) {
    const uint32_t *m = o->immediate;
    conv s = {.cin = (int32_t)x->of->dims[0], .h = (int32_t)x->of->dims[1], .w = (int32_t)x->of->dims[2],
              .cout = (int32_t)y->of->dims[0], .kh = (int32_t)w->of->dims[2], .kw = (int32_t)w->of->dims[3],
              .ho = (int32_t)y->of->dims[1], .wo = (int32_t)y->of->dims[2], .groups = (int32_t)m[8],
              .group_in = (int32_t)w->of->dims[1], .pitch = (int32_t)x->of->dims[2],
              .stride_h = (int32_t)m[0], .stride_w = (int32_t)m[1], .top = (int32_t)m[2], .bottom = (int32_t)m[3],
              .left = (int32_t)m[4], .right = (int32_t)m[5], .dilation_h = (int32_t)m[6], .dilation_w = (int32_t)m[7]};
    s.group_out = s.groups == 1 ? s.cout : s.cout / s.groups;
    if (join && s.kw == 1 && s.stride_h == 1 && s.stride_w == 1 && !(s.top | s.bottom | s.left | s.right)) {
        s.wo *= s.ho;
        s.w = s.wo;
        if (s.kh == 1) { /* x is one row as well */
            s.pitch = s.w;
            s.h = 1;
        }
        s.ho = 1;
    }
    return s;
}

static __attribute__((noinline, cold)) bool conv_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    if (x->of->rank != 3 || w->of->rank != 4 || y->of->rank != 3) return false;
    for (uint32_t i = 0; i < 9; i++)
        if (m[i] > 1u << 16 || (m[i] == 0 && (i < 2 || i > 5))) return false;
    const uint32_t groups = m[8];
    if (x->of->dims[0] % groups || y->of->dims[0] % groups || w->of->dims[0] != y->of->dims[0] || w->of->dims[1] != x->of->dims[0] / groups)
        return false;
    const conv s = conv_read(o, x, w, y, false);
    const int64_t span_h = (int64_t)s.h + s.top + s.bottom - (int64_t)s.dilation_h * (s.kh - 1) - 1;
    const int64_t span_w = (int64_t)s.w + s.left + s.right - (int64_t)s.dilation_w * (s.kw - 1) - 1;
    if (span_h < 0 || span_w < 0 || span_h > INT32_MAX || span_w > INT32_MAX) return false;
    return (int32_t)span_h / s.stride_h + 1 == s.ho && (int32_t)span_w / s.stride_w + 1 == s.wo;
}

/* No strides, and the kernel's columns lie side by side. */
static bool conv_is_dense(const conv *s) {
    return s->stride_h == 1 && s->stride_w == 1 && (s->dilation_w == 1 || s->kw == 1);
}

/* The i of 0..count for which first + i * step lies in 0..rows; step is not 0. They are side by side. */
static __attribute__((noinline)) void conv_reached(int32_t count, int32_t rows, int32_t first, int32_t step, int32_t *from, int32_t *to) {
    const int32_t size = step > 0 ? step : -step;
    const int32_t before = step > 0 ? -first : first - rows + 1, within = step > 0 ? rows - 1 - first : first;
    *from = before <= 0 ? 0 : conv_least(count, (before + size - 1) / size);
    *to = within < 0 ? *from : conv_most(*from, conv_least(count, within / size + 1));
}

/* dbias[co] += sum of dy, each row in eight lanes. */
static __attribute__((noinline)) void conv_bias_gradient(const bt_operands *o, const conv *s, int32_t co) {
    for (int32_t row = 0; row < s->ho; row++)
        o->view[3].data[co] += bt_row_sum(o->view[1].data + (co * s->ho + row) * s->wo, (uint32_t)s->wo);
}

#endif
