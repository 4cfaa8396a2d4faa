/* Two-dimensional convolution, any kernel, stride, padding, dilation and groups.
 * x [Cin][H][W], w [Cout][Cin/groups][KH][KW], bias [Cout] or none, y [Cout][Ho][Wo].
 * Order of summation, each an fmaf:
 *   forward         y: bias (or 0), then input channel, kernel row, kernel column, ascending
 *   weight gradient dw: output row, output column ascending, for taps in tiles of 16 and 4; what is left of the
 *                   taps (up to 3) sums each output row in eight lanes. The total is added to dw.
 *   input gradient  dx: 0, then output channel, kernel row, kernel column, ascending */
#include "kernel.h"

typedef struct conv {
    int32_t cin, h, w, cout, kh, kw, ho, wo, group_in, group_out;
    int32_t stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w;
} conv;

static conv read_conv(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    return (conv){.cin = (int32_t)x->dims[0], .h = (int32_t)x->dims[1], .w = (int32_t)x->dims[2],
                  .cout = (int32_t)y->dims[0], .kh = (int32_t)w->dims[2], .kw = (int32_t)w->dims[3],
                  .ho = (int32_t)y->dims[1], .wo = (int32_t)y->dims[2],
                  .group_in = (int32_t)(x->dims[0] / m[8]), .group_out = (int32_t)(y->dims[0] / m[8]),
                  .stride_h = (int32_t)m[0], .stride_w = (int32_t)m[1], .top = (int32_t)m[2], .bottom = (int32_t)m[3],
                  .left = (int32_t)m[4], .right = (int32_t)m[5], .dilation_h = (int32_t)m[6],
                  .dilation_w = (int32_t)m[7]};
}

static bool conv_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    if (x->rank != 3 || w->rank != 4 || y->rank != 3) return false;
    for (uint32_t i = 0; i < 9; i++)
        if (m[i] > 1u << 16 || (m[i] == 0 && (i < 2 || i > 5))) return false;
    const uint32_t groups = m[8];
    if (x->dims[0] % groups || y->dims[0] % groups || w->dims[0] != y->dims[0] || w->dims[1] != x->dims[0] / groups)
        return false;
    const conv s = read_conv(o, x, w, y);
    const int64_t span_h = (int64_t)s.h + s.top + s.bottom - (int64_t)s.dilation_h * (s.kh - 1) - 1;
    const int64_t span_w = (int64_t)s.w + s.left + s.right - (int64_t)s.dilation_w * (s.kw - 1) - 1;
    return span_h >= 0 && span_w >= 0 && span_h / s.stride_h + 1 == s.ho && span_w / s.stride_w + 1 == s.wo;
}

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

/* The outputs i of 0..ny for which i * stride + shift lies in 0..nx. */
static void valid(int32_t ny, int32_t nx, int32_t stride, int32_t shift, int32_t *from, int32_t *to) {
    *from = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    *to = nx - shift <= 0 ? 0 : least(ny, (nx - shift - 1) / stride + 1);
    *from = least(*from, ny);
    *to = most(*to, *from);
}

static void add_tap(float *restrict y, const float *restrict x, float w, int32_t from, int32_t to) {
    for (int32_t i = from; i < to; i++) y[i] = fmaf(w, x[i], y[i]);
}

/* y[i] += sum over k, ascending, of w[k] * x[i + shift + k * step]; stride 1. Four taps a sweep where all four
 * are inside x, tap by tap at the edges: the order for each y[i] is the same. */
static void add_taps(float *restrict y, int32_t ny, const float *restrict x, int32_t nx, const float *w, int32_t taps,
                     int32_t shift, int32_t step) {
    int32_t k = 0;
    for (; k + 4 <= taps; k += 4) {
        int32_t from[4], to[4];
        for (int32_t j = 0; j < 4; j++) valid(ny, nx, 1, shift + (k + j) * step, &from[j], &to[j]);
        const int32_t inner_from = most(most(from[0], from[1]), most(from[2], from[3]));
        const int32_t inner_to = most(inner_from, least(least(to[0], to[1]), least(to[2], to[3])));
        for (int32_t j = 0; j < 4; j++) {
            const float *xj = x + shift + (k + j) * step;
            add_tap(y, xj, w[k + j], from[j], least(to[j], inner_from));
            add_tap(y, xj, w[k + j], most(from[j], inner_to), to[j]);
        }
        const float w0 = w[k], w1 = w[k + 1], w2 = w[k + 2], w3 = w[k + 3];
        const float *x0 = x + shift + k * step, *x1 = x0 + step, *x2 = x1 + step, *x3 = x2 + step;
        for (int32_t i = inner_from; i < inner_to; i++)
            y[i] = fmaf(w3, x3[i], fmaf(w2, x2[i], fmaf(w1, x1[i], fmaf(w0, x0[i], y[i]))));
    }
    for (; k < taps; k++) {
        int32_t from, to;
        valid(ny, nx, 1, shift + k * step, &from, &to);
        add_tap(y, x + shift + k * step, w[k], from, to);
    }
}

BT_CHECK(conv2d_forward) {
    const bt_tensor *bias = &o->view[2];
    return conv_fits(o, &o->view[0], &o->view[1], &o->view[3]) &&
           (!bias->rank || bt_shape_is(bias, 1, o->view[3].dims[0], 0, 0, 0));
}

static void forward_channel(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = read_conv(o, &o->view[0], &o->view[1], &o->view[3]);
    const int32_t co = (int32_t)index, first = co / s.group_out * s.group_in;
    const float bias = o->view[2].rank ? o->view[2].data[co] : 0.0f;
    for (int32_t row = 0; row < s.ho; row++) {
        float *y = o->view[3].data + (co * s.ho + row) * s.wo;
        for (int32_t i = 0; i < s.wo; i++) y[i] = bias;
        for (int32_t ci = 0; ci < s.group_in; ci++)
            for (int32_t kh = 0; kh < s.kh; kh++) {
                const int32_t from = row * s.stride_h + kh * s.dilation_h - s.top;
                if (from < 0 || from >= s.h) continue;
                const float *x = o->view[0].data + ((first + ci) * s.h + from) * s.w;
                const float *w = o->view[1].data + ((co * s.group_in + ci) * s.kh + kh) * s.kw;
                if (s.stride_w == 1) {
                    add_taps(y, s.wo, x, s.w, w, s.kw, -s.left, s.dilation_w);
                    continue;
                }
                for (int32_t k = 0; k < s.kw; k++) {
                    int32_t begin, end;
                    const int32_t shift = k * s.dilation_w - s.left;
                    valid(s.wo, s.w, s.stride_w, shift, &begin, &end);
                    for (int32_t i = begin; i < end; i++) y[i] = fmaf(w[k], x[i * s.stride_w + shift], y[i]);
                }
            }
    }
}

BT_RUN(conv2d_forward) {
    bt_port_parallel(o->run->port, forward_channel, (void *)(uintptr_t)o, o->view[3].dims[0]);
}

BT_CHECK(conv2d_weight_gradient) {
    const bt_tensor *bias = &o->view[3];
    return conv_fits(o, &o->view[0], &o->view[2], &o->view[1]) &&
           (!bias->rank || bt_shape_is(bias, 1, o->view[1].dims[0], 0, 0, 0));
}

/* sum[j] += dy[i] * x[i * stride + shift + j * step] for a tile of `taps` taps, outputs i in order. */
static inline void tile_gradient(float *sum, int32_t taps, const float *dy, int32_t ny, const float *x, int32_t nx,
                                 int32_t stride, int32_t shift, int32_t step) {
    int32_t first_from, first_to, last_from, last_to;
    valid(ny, nx, stride, shift, &first_from, &first_to);
    valid(ny, nx, stride, shift + (taps - 1) * step, &last_from, &last_to);
    const int32_t inner_from = most(first_from, last_from), inner_to = most(inner_from, least(first_to, last_to));
    for (int32_t i = least(first_from, last_from); i < most(first_to, last_to); i++) {
        if (i == inner_from && inner_from < inner_to) {
            if (step == 1)
                for (; i < inner_to; i++)
                    for (int32_t j = 0; j < taps; j++) sum[j] = fmaf(dy[i], x[i * stride + shift + j], sum[j]);
            else
                for (; i < inner_to; i++)
                    for (int32_t j = 0; j < taps; j++) sum[j] = fmaf(dy[i], x[i * stride + shift + j * step], sum[j]);
            i--;
            continue;
        }
        for (int32_t j = 0; j < taps; j++) {
            const int32_t at = i * stride + shift + j * step;
            if (at >= 0 && at < nx) sum[j] = fmaf(dy[i], x[at], sum[j]);
        }
    }
}

/* One tap of one output row, in eight lanes over the outputs that it reaches. */
static float tap_gradient(const float *dy, int32_t ny, const float *x, int32_t nx, int32_t stride, int32_t shift) {
    int32_t from, to;
    valid(ny, nx, stride, shift, &from, &to);
    if (stride == 1) return bt_dot(dy + from, x + from + shift, (uint32_t)(to - from));
    float lane[BT_LANES] = {0};
    for (int32_t i = from; i < to; i++)
        lane[(i - from) % BT_LANES] = fmaf(dy[i], x[i * stride + shift], lane[(i - from) % BT_LANES]);
    return bt_fold_lanes(lane);
}

static void kernel_row_gradient(const bt_operands *o, const conv *s, int32_t co, int32_t ci, int32_t kh, float *dw) {
    const float *x = o->view[0].data + (co / s->group_out * s->group_in + ci) * s->h * s->w;
    const float *dy = o->view[1].data + co * s->ho * s->wo;
    for (int32_t k = 0; k < s->kw;) {
        const int32_t left = s->kw - k, taps = left >= 16 ? 16 : left >= 4 ? 4 : 1;
        const int32_t shift = k * s->dilation_w - s->left;
        float sum[16] = {0};
        for (int32_t row = 0; row < s->ho; row++) {
            const int32_t from = row * s->stride_h + kh * s->dilation_h - s->top;
            if (from < 0 || from >= s->h) continue;
            const float *xr = x + from * s->w, *dr = dy + row * s->wo;
            if (taps == 16) tile_gradient(sum, 16, dr, s->wo, xr, s->w, s->stride_w, shift, s->dilation_w);
            else if (taps == 4) tile_gradient(sum, 4, dr, s->wo, xr, s->w, s->stride_w, shift, s->dilation_w);
            else sum[0] += tap_gradient(dr, s->wo, xr, s->w, s->stride_w, shift);
        }
        for (int32_t j = 0; j < taps; j++) dw[k + j] += sum[j];
        k += taps;
    }
}

static void weight_gradient_channel(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = read_conv(o, &o->view[0], &o->view[2], &o->view[1]);
    const int32_t co = (int32_t)index;
    for (int32_t ci = 0; ci < s.group_in; ci++)
        for (int32_t kh = 0; kh < s.kh; kh++)
            kernel_row_gradient(o, &s, co, ci, kh, o->view[2].data + ((co * s.group_in + ci) * s.kh + kh) * s.kw);
    if (o->view[3].rank)
        for (int32_t row = 0; row < s.ho; row++)
            o->view[3].data[co] += bt_sum(o->view[1].data + (co * s.ho + row) * s.wo, (uint32_t)s.wo);
}

BT_RUN(conv2d_weight_gradient) {
    bt_port_parallel(o->run->port, weight_gradient_channel, (void *)(uintptr_t)o, o->view[1].dims[0]);
}

BT_CHECK(conv2d_input_gradient) {
    return conv_fits(o, &o->view[2], &o->view[1], &o->view[0]);
}

static void input_gradient_channel(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = read_conv(o, &o->view[2], &o->view[1], &o->view[0]);
    const int32_t channel = (int32_t)index, group = channel / s.group_in, ci = channel % s.group_in;
    float *plane = o->view[2].data + channel * s.h * s.w;
    memset(plane, 0, (size_t)(s.h * s.w) * sizeof *plane);
    for (int32_t co = group * s.group_out; co < (group + 1) * s.group_out; co++)
        for (int32_t kh = 0; kh < s.kh; kh++)
            for (int32_t row = 0; row < s.ho; row++) {
                const int32_t to = row * s.stride_h + kh * s.dilation_h - s.top;
                if (to < 0 || to >= s.h) continue;
                const float *dy = o->view[0].data + (co * s.ho + row) * s.wo;
                const float *w = o->view[1].data + ((co * s.group_in + ci) * s.kh + kh) * s.kw;
                float *dx = plane + to * s.w;
                if (s.stride_w == 1) {
                    add_taps(dx, s.w, dy, s.wo, w, s.kw, s.left, -s.dilation_w);
                    continue;
                }
                for (int32_t k = 0; k < s.kw; k++) {
                    int32_t begin, end;
                    const int32_t shift = k * s.dilation_w - s.left;
                    valid(s.wo, s.w, s.stride_w, shift, &begin, &end);
                    for (int32_t i = begin; i < end; i++)
                        dx[i * s.stride_w + shift] = fmaf(w[k], dy[i], dx[i * s.stride_w + shift]);
                }
            }
}

BT_RUN(conv2d_input_gradient) {
    bt_port_parallel(o->run->port, input_gradient_channel, (void *)(uintptr_t)o, o->view[2].dims[0]);
}
