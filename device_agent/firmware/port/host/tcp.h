/* The link of the virtual wearable: one agent at a time over TCP. */
#ifndef BIOTRAIN_HOST_TCP_H
#define BIOTRAIN_HOST_TCP_H

#include "host.h"

/* Listen on "host:port" (port 0: any free one); *bound is the port in use. */
bool bt_tcp_listen(bt_port *port, const char *address, uint16_t *bound, char error[BT_ERROR_BYTES]);
/* Wait until there is something to do, at most `timeout_us`; takes a waiting connection when there is none. */
void bt_tcp_wait(bt_port *port, uint64_t timeout_us, bool sending);

#endif
