/* y = log(x): minus infinity at 0, NaN below, as in torch; numbers below 2^-126 count as 2^-126. In place or not.
 * dx = dy / x. */
#include "kernel.h"

static float whole_log(float x) {
    if (x > 0.0f) return isinf(x) ? x : bt_logf(x);
    return x < 0.0f || isnan(x) ? NAN : -INFINITY;
}

BT_CHECK(log_forward) { return bt_elementwise(o, 2); }

BT_RUN(log_forward) {
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[1].data[i] = whole_log(o->view[0].data[i]);
}

BT_CHECK(log_backward) { return bt_elementwise(o, 3); }

BT_RUN(log_backward) {
    for (uint32_t i = 0; i < o->view[0].of->count; i++) o->view[2].data[i] = o->view[0].data[i] / o->view[1].data[i];
}
