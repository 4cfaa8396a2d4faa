/* y = x * x.   dx = 2 x dy. In place or not. */
#include "kernel.h"

BT_CHECK(square_forward) { return bt_elementwise(o, 2); }

BT_RUN(square_forward) {
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[1].data[i] = o->view[0].data[i] * o->view[0].data[i];
}

BT_CHECK(square_backward) { return bt_elementwise(o, 3); }

BT_RUN(square_backward) {
    const float *dy = o->view[0].data, *x = o->view[1].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[2].data[i] = 2.0f * x[i] * dy[i];
}
