/* The link over a UART. Bytes come one at a time, with two reads under way so that none falls between them: a frame's end
 * is never waited for in a half-filled buffer. They leave as many at a time as there are. */
#include <string.h>

#include "gap9.h"

static uint32_t held(const bt_bytes *b) { return b->written - b->read; }

/* Fabric controller, in the interrupt of a byte. One that finds no room is lost: its frame's checksum tells. */
static void byte_arrived(void *arg) {
    bt_port *port = arg;
    bt_bytes *in = &port->from_agent;
    const uint32_t which = port->arrived_next;
    if (held(in) < BT_LINK_BYTES) {
        in->at[in->written % BT_LINK_BYTES] = port->byte[which];
        in->written++;
    }
    port->arrived_next = 1 - which;
    pi_task_irq_callback(&port->arrived[which], byte_arrived, port);
    pi_uart_read_async(&port->uart, &port->byte[which], 1, &port->arrived[which]);
    bt_gap9_wake(port);
}

static void send_next(bt_port *port);

static void were_sent(void *arg) {
    bt_port *port = arg;
    port->to_agent.read += port->sending;
    port->sending = 0;
    send_next(port);
}

static void send_next(bt_port *port) {
    bt_bytes *out = &port->to_agent;
    const uint32_t at = out->read % BT_LINK_BYTES, to_end = BT_LINK_BYTES - at, waiting = held(out);
    if (port->sending || !waiting) return;
    port->sending = waiting < to_end ? waiting : to_end;
    pi_task_callback(&port->sent, were_sent, port);
    pi_uart_write_async(&port->uart, out->at + at, port->sending, &port->sent);
}

static void was_kicked(void *arg) {
    bt_port *port = arg;
    pi_task_callback(&port->kicked, was_kicked, port);
    port->kick = false; /* from here on the cluster may do it again */
    send_next(port);
}

bool bt_gap9_open_link(bt_port *port) {
    pi_uart_conf_init(&port->uart_conf);
    port->uart_conf.uart_id = BT_UART;
    port->uart_conf.baudrate_bps = BT_BAUD;
    port->uart_conf.enable_rx = port->uart_conf.enable_tx = 1;
    pi_open_from_conf(&port->uart, &port->uart_conf);
    if (pi_uart_open(&port->uart)) return false;
    pi_task_callback(&port->kicked, was_kicked, port);
    for (uint32_t i = 0; i < 2; i++) {
        pi_task_irq_callback(&port->arrived[i], byte_arrived, port);
        pi_uart_read_async(&port->uart, &port->byte[i], 1, &port->arrived[i]);
    }
    return true;
}

size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most) {
    bt_bytes *in = &port->from_agent;
    size_t count = 0;
    for (; count < most && held(in); count++) {
        to[count] = in->at[in->read % BT_LINK_BYTES];
        in->read++;
    }
    return count;
}

size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count) {
    bt_bytes *out = &port->to_agent;
    size_t taken = 0;
    for (; taken < count && held(out) < BT_LINK_BYTES; taken++) {
        out->at[out->written % BT_LINK_BYTES] = from[taken];
        out->written++;
    }
    if (taken && !port->kick) {
        port->kick = true;
        pi_cl_send_task_to_fc(&port->kicked);
    }
    return taken;
}
