/* When the watchdog may go off. */
#include "board.h"
#include "riscv.h"

/* All interrupts but the watchdog's are waited for, never taken: a sleep ends when one is pending. The watchdog's is the
 * timer while no sleep needs it; it ends in the trap handler. */
void bt_riscv_watch(bt_port *port, bool running) {
    if (!port->watchdog_us) return;
    if (running) {
        BT_CSR_WRITE("mie", BT_TIMER);
        BT_CSR_SET("mstatus", BT_INTERRUPTS);
    } else {
        BT_CSR_CLEAR("mstatus", BT_INTERRUPTS);
    }
}

void bt_riscv_look(bt_port *port) {
    uint32_t pending;
    BT_CSR_READ("mip", pending);
    if (port->watchdog_us && pending & BT_TIMER) bt_riscv_watch(port, true);
}
