/* y = tanh(x).   dx = dy (1 - y^2): the backward pass needs y alone. In place or not. */
#include "kernel.h"

BT_CHECK(tanh_forward) { return bt_elementwise(o, 2); }

BT_RUN(tanh_forward) {
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[1].data[i] = bt_tanhf(o->view[0].data[i]);
}

BT_CHECK(tanh_backward) { return bt_elementwise(o, 3); }

BT_RUN(tanh_backward) {
    const float *dy = o->view[0].data, *y = o->view[1].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[2].data[i] = dy[i] * fmaf(-y[i], y[i], 1.0f);
}
