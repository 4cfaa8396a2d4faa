/* zero: x = 0.   copy: dst = src, between any two memory levels. copy_start begins one that runs beside what comes next,
 * until copy_wait; copy_ahead begins that of the innermost loop's next round. */
#include "kernel.h"

BT_CHECK(zero) { return o->view[0].of->rank > 0; }

BT_RUN(zero) { memset(o->view[0].data, 0, o->view[0].of->count * sizeof(float)); }

BT_CHECK(copy) { return o->view[0].of->rank > 0 && o->view[1].of->rank > 0 && o->view[0].of->count == o->view[1].of->count; }
BT_CHECK(copy_start) { return o->view[0].of->rank > 0 && o->view[1].of->rank > 0 && o->view[0].of->count == o->view[1].of->count; }
BT_CHECK(copy_ahead) { return o->view[0].of->rank > 0 && o->view[1].of->rank > 0 && o->view[0].of->count == o->view[1].of->count; }
BT_CHECK(copy_wait) { return o->view[0].of->rank > 0; }

static void start(const bt_operands *o) {
    bt_port_copy_start(o->run->port, o->view[1].data, o->view[0].data, o->view[0].of->count * (uint32_t)sizeof(float));
}

BT_RUN(copy) {
    start(o);
    bt_port_copy_wait(o->run->port);
}

BT_RUN(copy_start) { start(o); }
BT_RUN(copy_ahead) { start(o); }
BT_RUN(copy_wait) { bt_port_copy_wait(o->run->port); }
