/* y = x held between two immediates, low <= high.   dx = dy where low <= x <= high, else 0. NaN passes. */
#include "kernel.h"

static bool ordered(const bt_operands *o) { return bt_float_bits(o->immediate[0]) <= bt_float_bits(o->immediate[1]); }

BT_CHECK(clamp_forward) { return bt_elementwise(o, 2) && ordered(o); }

BT_RUN(clamp_forward) {
    const float low = bt_float_bits(o->immediate[0]), high = bt_float_bits(o->immediate[1]);
    for (uint32_t i = 0; i < o->view[0].of->count; i++) {
        const float x = o->view[0].data[i];
        o->view[1].data[i] = x < low ? low : x > high ? high : x;
    }
}

BT_CHECK(clamp_backward) { return bt_elementwise(o, 3) && ordered(o); }

BT_RUN(clamp_backward) {
    const float low = bt_float_bits(o->immediate[0]), high = bt_float_bits(o->immediate[1]);
    for (uint32_t i = 0; i < o->view[0].of->count; i++) {
        const float x = o->view[1].data[i];
        o->view[2].data[i] = x < low || x > high ? 0.0f : o->view[0].data[i];
    }
}
