/* The machine's own log, a file of the host: a JSON line for each event, the same as any virtual wearable's. */
#include "../event_line.h"
#include "riscv.h"
#include "semihosting.h"

void bt_riscv_open_event_log(bt_port *port) {
    port->logged = bt_argument("logged", 0);
    port->event_log = bt_file_open("log", BT_READ_WRITE); /* the emulator knows no appending */
    const int32_t length = port->event_log < 0 ? -1 : bt_file_length(port->event_log);
    if (length < 0) port->event_log = -1;
    port->log_end = length < 0 ? 0 : (uint32_t)length;
}

void bt_port_event(bt_port *port, const bt_event *event) {
    char line[BT_EVENT_LINE_BYTES];
    const bool logged = event->index == port->logged;
    port->logged = 0; /* only the first one told after a start can be there already */
    if (port->event_log < 0 || logged) return;
    const int length = bt_event_line(line, event);
    /* a full disk must not stop the wearable; the event itself is safe in storage */
    if (length > 0 && bt_file_write(port->event_log, port->log_end, line, (uint32_t)length))
        port->log_end += (uint32_t)length;
}
