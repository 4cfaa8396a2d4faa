/* What the cluster wants of the fabric controller. One wish at a time: the controller waits for its end. */
#include "gap9.h"

int bt_ask(bt_port *port, bt_wish wish, uint32_t offset, uint32_t count) {
    bt_request *r = &port->request;
    r->offset = offset;
    r->count = count;
    r->failed = -1;
    r->done = false;
    r->wish = wish;
    pi_cl_send_task_to_fc(&port->asked);
    while (!r->done) {
    }
    return r->failed;
}

/* Called by the scheduler: what blocks is done by the loop, not here. */
static void ask_arrived(void *arg) { ((bt_port *)arg)->wanted = true; }

void bt_gap9_prepare_to_be_asked(bt_port *port) { pi_task_callback(&port->asked, ask_arrived, port); }

void bt_gap9_serve_request(bt_port *port) {
    bt_request *r = &port->request;
    port->wanted = false;
    if (r->wish == BT_WISH_STORAGE_READ) r->failed = bt_nor_read(&port->nor, r->offset, r->bytes, r->count);
    if (r->wish == BT_WISH_STORAGE_WRITE) r->failed = bt_nor_write(&port->nor, r->offset, r->bytes, r->count);
    r->wish = BT_WISH_NONE;
    bt_gap9_prepare_to_be_asked(port); /* an event is made ready anew each time */
    r->done = true;
}
