/* y = a + b, of one shape: residual connections, and gradients of a value that is used more than once. y may be a. */
#include "kernel.h"

BT_CHECK(add) { return bt_elementwise(o, 3); }

BT_RUN(add) {
    const float *a = o->view[0].data, *b = o->view[1].data;
    float *y = o->view[2].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) y[i] = a[i] + b[i];
}
