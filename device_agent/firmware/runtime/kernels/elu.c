/* y = x above 0, alpha (exp(x) - 1) below; immediate: alpha > 0. In place or not.
 * The backward pass needs y alone: dx = dy where y > 0, dy (y + alpha) elsewhere. */
#include "kernel.h"

BT_CHECK(elu_forward) { return bt_elementwise(o, 2) && bt_float_bits(o->immediate[0]) > 0.0f; }

BT_RUN(elu_forward) {
    const float *x = o->view[0].data, alpha = bt_float_bits(o->immediate[0]);
    float *y = o->view[1].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) y[i] = x[i] > 0.0f ? x[i] : alpha * bt_expm1f(x[i]);
}

BT_CHECK(elu_backward) { return bt_elementwise(o, 3) && bt_float_bits(o->immediate[0]) > 0.0f; }

BT_RUN(elu_backward) {
    const float *dy = o->view[0].data, *y = o->view[1].data, alpha = bt_float_bits(o->immediate[0]);
    float *dx = o->view[2].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) dx[i] = y[i] > 0.0f ? dy[i] : dy[i] * (y[i] + alpha);
}
