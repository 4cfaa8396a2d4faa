/* Time, counters, watchdog. The SDK's clock is the fabric controller's and counts to 32 bits: the cluster is told the
 * time when it is started, and counts its own cycles from there. */
#include "gap9.h"

/* A 32-bit count that has gone on since `*low`, as 64 bits. */
static uint64_t extend(uint64_t *whole, uint32_t *low, uint32_t now) {
    *whole += now - *low; /* wraps as they do */
    *low = now;
    return *whole;
}

void bt_gap9_set_clock(bt_port *port) {
    extend(&port->time_us, &port->time_low, pi_time_get_us());
    port->cycles = port->cycles_low = 0;
}

void bt_gap9_start_counters(bt_port *port) {
    pi_perf_conf(1u << PI_PERF_CYCLES | 1u << PI_PERF_INSTR);
    pi_perf_start();
    pi_perf_cl_reset();
    pi_perf_cl_start();
    port->instructions_low = pi_perf_read(PI_PERF_INSTR);
}

uint64_t bt_port_cycles(bt_port *port) {
    return extend(&port->cycles, &port->cycles_low, pi_perf_cl_read(PI_PERF_CYCLES));
}

/* Of the controller alone: each worker counts its own. */
uint64_t bt_port_instructions(bt_port *port) {
    return extend(&port->instructions, &port->instructions_low, pi_perf_read(PI_PERF_INSTR));
}

/* Two clocks that drift apart by a little: what has been told is never taken back. */
uint64_t bt_port_time_us(bt_port *port) {
    const uint64_t now = port->time_us + bt_port_cycles(port) / (BT_CLUSTER_HZ / 1000000);
    if (now > port->told_us) port->told_us = now;
    return port->told_us;
}

void bt_port_watchdog(bt_port *port) { port->alive = true; }

/* The SDK does not tell a watchdog's reset from the others. */
const char *bt_port_start_reason(bt_port *port) {
    (void)port;
    return "";
}

/* The evaluation kit has no gauge: a board that has one reads it here. */
bt_power bt_port_power(bt_port *port, bt_work done) {
    (void)port, (void)done;
    return (bt_power){BT_UNTOLD, BT_UNTOLD, BT_UNTOLD};
}

/* Four times within the watchdog's time: as long as the app has served something since, the chip lives on. */
static void look(void *arg) {
    bt_port *port = arg;
    if (port->alive || port->finished) pi_watchdog_timer_rearm(); /* a cluster that has nothing to do does not hang */
    port->alive = false;
    pi_task_push_delayed_us(pi_task_callback(&port->watching, look, port), BT_WATCHDOG_MS / 4 * 1000);
}

void bt_gap9_start_watchdog(bt_port *port) {
    pi_watchdog_timer_set((uint32_t)BT_WATCHDOG_MS / 1000 * BT_REFERENCE_HZ);
    pi_watchdog_start();
    port->alive = true;
    look(port);
}
