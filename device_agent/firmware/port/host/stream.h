/* The link of the virtual wearable: one agent at a time, over TCP or a serial line. */
#ifndef BIOTRAIN_HOST_STREAM_H
#define BIOTRAIN_HOST_STREAM_H

#include "host.h"

/* tcp.c: listen on "host:port" (port 0: any free one); *bound is the port in use. */
bool bt_tcp_listen(bt_port *port, const char *address, uint16_t *bound, char error[BT_ERROR_BYTES]);
void bt_tcp_take_newcomer(bt_port *port);

/* serial.c: a terminal device, made raw. `path` must stay. */
bool bt_serial_open(bt_port *port, const char *path, char error[BT_ERROR_BYTES]);
/* After the other end has hung up; quietly does nothing while the device is away. */
void bt_serial_reopen(bt_port *port);

/* stream.c: wait until there is something to do, at most `timeout_us`; a waiting agent is taken when there is a seat. */
void bt_stream_wait(bt_port *port, uint64_t timeout_us, bool sending);
void bt_stream_hang_up(bt_port *port);

#endif
