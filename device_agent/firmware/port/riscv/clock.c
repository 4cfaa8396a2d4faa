/* Counters, time and sleep. */
#include <string.h>

#include "board.h"
#include "riscv.h"

#define COUNTER(name)                                                 \
    uint32_t high, low, again;                                        \
    do {                                                              \
        BT_CSR_READ(name "h", high);                                  \
        BT_CSR_READ(name, low);                                       \
        BT_CSR_READ(name "h", again);                                 \
    } while (high != again);                                          \
    return (uint64_t)high << 32 | low

uint64_t bt_port_cycles(bt_port *port) {
    (void)port;
    COUNTER("mcycle");
}

static uint64_t instructions(void) { COUNTER("minstret"); }

/* Exact when the emulator counts (-icount): then of all harts together. Where one core counts what a cluster would share,
 * those that the cluster would run one after the other. */
uint64_t bt_port_instructions(bt_port *port) { return instructions() - port->cluster.inside + port->cluster.longest; }

uint64_t bt_port_time_us(bt_port *port) {
    volatile uint32_t *timer = bt_timer();
    uint32_t high, low;
    (void)port;
    do {
        high = timer[1];
        low = timer[0];
    } while (high != timer[1]);
    return ((uint64_t)high << 32 | low) / BT_TICKS_A_US;
}

enum { SEND_AGAIN_US = 500 };

static void interrupt_at(uint64_t us) {
    volatile uint32_t *compare = bt_timer_compare();
    const uint64_t ticks = us > UINT64_MAX / BT_TICKS_A_US ? UINT64_MAX : us * BT_TICKS_A_US;
    compare[1] = UINT32_MAX; /* nothing in between is early */
    compare[0] = (uint32_t)ticks;
    compare[1] = (uint32_t)(ticks >> 32);
}

void bt_port_watchdog(bt_port *port) {
    const uint64_t now = bt_port_time_us(port);
    if (!port->watchdog_us || (port->watched_us && now < port->watched_us + port->watchdog_us / 8)) return;
    interrupt_at(now + port->watchdog_us);
    bt_riscv_watch(port, true);
    port->watched_us = now;
}

const char *bt_port_start_reason(bt_port *port) {
    (void)port;
    return bt_after_watchdog() ? "watchdog" : "";
}

/* The board has no cell, and its image no room to play one. */
bt_power bt_port_power(bt_port *port, bt_work done) {
    (void)port, (void)done;
    return (bt_power){BT_UNTOLD, BT_UNTOLD, BT_UNTOLD};
}

void bt_riscv_sleep(bt_port *port, uint64_t due_us, bool sending) {
    const uint64_t soon = bt_port_time_us(port) + SEND_AGAIN_US;
    bt_riscv_watch(port, false);
    port->watched_us = 0; /* the timer is the sleep's from here on: the next poll sets it anew */
    interrupt_at(sending && soon < due_us ? soon : due_us);
    BT_CSR_WRITE("mie", BT_TIMER | BT_EXTERNAL);
    bt_wait_for_interrupt();
    BT_CSR_WRITE("mie", 0);
    const uint32_t source = bt_claim_interrupt();
    if (!source) return;
    if (!port->uart) bt_console_acknowledge(&port->console);
    bt_complete_interrupt(source);
}

/* A copy is done when it is started: the emulator has no DMA between parts of one memory. What would be the DMA's work
 * is no instruction of the cluster's. */
void bt_port_copy_rows(bt_port *port, void *to, const void *from, uint32_t rows, uint32_t bytes, uint32_t pitch) {
    uint32_t before, after;
    BT_CSR_READ("minstret", before);
    for (uint32_t r = 0; r < rows; r++) memcpy((uint8_t *)to + r * bytes, (const uint8_t *)from + r * pitch, bytes);
    BT_CSR_READ("minstret", after);
    if (port->cluster.cores) port->cluster.inside += after - before;
}

void bt_port_copy_start(bt_port *port, void *to, const void *from, uint32_t bytes) {
    bt_port_copy_rows(port, to, from, 1, bytes, 0);
}

void bt_port_copy_wait(bt_port *port) { (void)port; }
