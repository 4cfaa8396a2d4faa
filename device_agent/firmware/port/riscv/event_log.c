/* The machine's own log, a file of the host: a JSON line for each event, the same as any virtual wearable's. */
#include "../event_line.h"
#include "riscv.h"
#include "semihosting.h"

void bt_port_event(bt_port *port, const bt_event *event) {
    char line[BT_EVENT_LINE_BYTES];
    const bool logged = event->index == port->logged;
    port->logged = 0; /* only the first one told after a start can be there already */
    if (port->event_log < 0 || logged) return;
    const int length = bt_event_line(line, event);
    if (length > 0) bt_file_append(port->event_log, line, (uint32_t)length); /* it is safe in storage, too */
}
