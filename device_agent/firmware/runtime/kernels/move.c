/* zero: x = 0.   copy: dst = src, between any two memory levels. */
#include "kernel.h"

BT_CHECK(zero) { return o->view[0].rank > 0; }

BT_RUN(zero) { memset(o->view[0].data, 0, o->view[0].count * sizeof(float)); }

BT_CHECK(copy) { return o->view[0].rank > 0 && o->view[1].rank > 0 && o->view[0].count == o->view[1].count; }

BT_RUN(copy) {
    bt_port_copy_start(o->run->port, o->view[1].data, o->view[0].data, o->view[0].count * (uint32_t)sizeof(float));
    bt_port_copy_wait(o->run->port);
}
