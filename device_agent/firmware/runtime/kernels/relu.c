/* y = max(x, 0).   dx = dy where y > 0, else 0: the mask is the sign of what is there already. In place or not.
 * The comparisons are written so that NaN passes through, as in torch: hidden, it would train on. */
#include "kernel.h"

BT_CHECK(relu_forward) { return o->view[0].rank && bt_same_shape(&o->view[0], &o->view[1]); }

BT_RUN(relu_forward) {
    const float *x = o->view[0].data;
    float *y = o->view[1].data;
    for (uint32_t i = 0; i < o->view[0].count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

BT_CHECK(relu_backward) {
    return o->view[0].rank && bt_same_shape(&o->view[0], &o->view[1]) && bt_same_shape(&o->view[0], &o->view[2]);
}

BT_RUN(relu_backward) {
    const float *dy = o->view[0].data, *y = o->view[1].data;
    float *dx = o->view[2].data;
    for (uint32_t i = 0; i < o->view[0].count; i++) dx[i] = y[i] <= 0.0f ? 0.0f : dy[i];
}
