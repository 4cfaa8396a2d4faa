/* y = max(x, 0).   dx = dy where y > 0, else 0: the mask is the sign of what is there already. In place or not.
 * The comparisons are written so that NaN passes through, as in torch: hidden, it would train on. */
#include "kernel.h"

BT_CHECK(relu_forward) { return o->view[0].of->rank && bt_same_shape(&o->view[0], &o->view[1]); }

static void forward_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const float *x = o->view[0].data;
    float *y = o->view[1].data;
    const uint32_t count = o->view[0].of->count, to = bt_stretch_end(count, index);
    BT_UNROLL
    for (uint32_t i = bt_stretch_begin(count, index); i < to; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

BT_RUN(relu_forward) { bt_stretches(o->run->port, forward_piece, o, o->view[0].of->count); }

BT_CHECK(relu_backward) {
    return o->view[0].of->rank && bt_same_shape(&o->view[0], &o->view[1]) && bt_same_shape(&o->view[0], &o->view[2]);
}

static void backward_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const float *dy = o->view[0].data, *y = o->view[1].data;
    float *dx = o->view[2].data;
    const uint32_t count = o->view[0].of->count, to = bt_stretch_end(count, index);
    BT_UNROLL
    for (uint32_t i = bt_stretch_begin(count, index); i < to; i++) dx[i] = y[i] <= 0.0f ? 0.0f : dy[i];
}

BT_RUN(relu_backward) { bt_stretches(o->run->port, backward_piece, o, o->view[0].of->count); }
