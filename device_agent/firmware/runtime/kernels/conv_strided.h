/* Convolutions with strides, or whose kernel has gaps: plain loops over output rows, in the order of conv2d.c. */
#ifndef BIOTRAIN_CONV_STRIDED_H
#define BIOTRAIN_CONV_STRIDED_H

#include "conv_shape.h"
#include "correlate.h"
#include "dots.h"

/* y[i] += w * x[i * stride + shift] for the outputs that it reaches. */
static void strided_tap(float *y, int32_t ny, const float *x, int32_t nx, float w, int32_t stride, int32_t shift) {
    int32_t from, to;
    conv_reached(ny, nx, shift, stride, &from, &to);
    for (int32_t i = from; i < to; i++) y[i] = fmaf(w, x[i * stride + shift], y[i]);
}

BT_RARE void strided_forward(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = conv_read(o, &o->view[0], &o->view[1], &o->view[3], true);
    const int32_t co = (int32_t)index, first = co / s.group_out * s.group_in;
    const float bias = o->view[2].of->rank ? o->view[2].data[co] : 0.0f;
    for (int32_t row = 0; row < s.ho; row++) {
        float *y = o->view[3].data + (co * s.ho + row) * s.wo;
        for (int32_t i = 0; i < s.wo; i++) y[i] = bias;
        for (int32_t ci = 0; ci < s.group_in; ci++)
            for (int32_t kh = 0; kh < s.kh; kh++) {
                const int32_t from = row * s.stride_h + kh * s.dilation_h - s.top;
                if (from < 0 || from >= s.h) continue;
                const float *x = o->view[0].data + ((first + ci) * s.h + from) * s.w;
                const float *w = o->view[1].data + ((co * s.group_in + ci) * s.kh + kh) * s.kw;
                for (int32_t k = 0; k < s.kw; k++)
                    strided_tap(y, s.wo, x, s.w, w[k], s.stride_w, k * s.dilation_w - s.left);
            }
    }
}

BT_RARE void strided_input_gradient(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = conv_read(o, &o->view[2], &o->view[1], &o->view[0], false);
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
                for (int32_t k = s.kw - 1; k >= 0; k--) {
                    int32_t begin, end;
                    const int32_t shift = k * s.dilation_w - s.left;
                    conv_reached(s.wo, s.w, shift, s.stride_w, &begin, &end);
                    for (int32_t i = begin; i < end; i++)
                        dx[i * s.stride_w + shift] = fmaf(w[k], dy[i], dx[i * s.stride_w + shift]);
                }
            }
}

/* One kernel column of one output row: the outputs that it reaches, summed as dots.h does. */
static float strided_lanes(const float *dy, int32_t ny, const float *x, int32_t nx, int32_t stride, int32_t shift) {
    int32_t from, to;
    float lane[BT_LANES] = {0};
    conv_reached(ny, nx, shift, stride, &from, &to);
    const int32_t lanes = to - from < BT_LONG_DOT ? 1 : BT_LANES;
    for (int32_t i = from; i < to; i++)
        lane[(i - from) % lanes] = fmaf(dy[i], x[i * stride + shift], lane[(i - from) % lanes]);
    return lanes == 1 ? lane[0] : bt_fold_lanes(lane);
}

BT_RARE void strided_weight_gradient(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const conv s = conv_read(o, &o->view[0], &o->view[2], &o->view[1], true);
    const int32_t co = (int32_t)index, tiled = s.kw & ~7;
    for (int32_t tap = 0; tap < s.group_in * s.kh * s.kw; tap++) {
        const int32_t k = tap % s.kw, kh = tap / s.kw % s.kh, ci = tap / s.kw / s.kh;
        const int32_t shift = k * s.dilation_w - s.left;
        const float *x = o->view[0].data + (co / s.group_out * s.group_in + ci) * s.h * s.pitch;
        float sum = 0.0f;
        for (int32_t row = 0; row < s.ho; row++) {
            const int32_t from = row * s.stride_h + kh * s.dilation_h - s.top;
            if (from < 0 || from >= s.h) continue;
            const float *xr = x + from * s.pitch, *dr = o->view[1].data + (co * s.ho + row) * s.wo;
            if (k >= tiled) sum += strided_lanes(dr, s.wo, xr, s.w, s.stride_w, shift);
            else {
                int32_t begin, end;
                conv_reached(s.wo, s.w, shift, s.stride_w, &begin, &end);
                for (int32_t i = begin; i < end; i++) sum = fmaf(dr[i], xr[i * s.stride_w + shift], sum);
            }
        }
        o->view[2].data[co * s.group_in * s.kh * s.kw + tap] += sum;
    }
    if (o->view[3].of->rank) conv_bias_gradient(o, &s, co);
}

#endif
