/* A bare-metal RV32IMAFC machine as a wearable: what a bt_port is here. */
#ifndef BIOTRAIN_RISCV_H
#define BIOTRAIN_RISCV_H

#include <stdbool.h>

#include "biotrain/engine.h"
#include "console.h"

/* A recording that the device plays to itself; port/host/host.h has the file's layout. */
typedef struct bt_source {
    int file; /* negative: the device has no electrodes */
    uint32_t channels, samples, windows, next;
    uint64_t period_us, started_us;
    bool running;
} bt_source;

/* What pieces would take on a cluster of `cores`, counted while one core runs them all; 0 cores: not counted. */
typedef struct bt_cluster_count {
    uint32_t cores;
    uint64_t inside;  /* instructions of all pieces */
    uint64_t longest; /* of the core that has most to do, added up over all rounds */
    uint32_t rounds;
} bt_cluster_count;

struct bt_port {
    uint32_t cores;
    bt_cluster_count cluster;
    bt_console console; /* the link, unless it goes over the board's UART */
    bool uart;
    uint64_t watchdog_us, watched_us; /* 0: no watchdog; when it was last told to wait */
    int storage;
    int event_log; /* negative: none */
    uint32_t log_end;
    uint32_t logged; /* at start: index of the newest event in it */
    bt_source source;
};

/* memory.c: what the linker script has left of each level. */
void bt_riscv_memory(bt_memory *memory);
/* clock.c: sleep until `due_us`, or until a byte has come; with `sending`, soon enough to send on. */
void bt_riscv_sleep(bt_port *port, uint64_t due_us, bool sending);
/* watchdog.c: it goes off while the program runs, not while it waits, unless `bt_riscv_look` is asked. */
void bt_riscv_watch(bt_port *port, bool running);
void bt_riscv_look(bt_port *port);
/* storage.c */
bool bt_riscv_open_storage(bt_port *port);
/* event_log.c: there is one when somebody has made the file. */
void bt_riscv_open_event_log(bt_port *port);
/* source.c: without a file there are no electrodes. False when the file is no recording. */
bool bt_riscv_open_recording(bt_port *port, uint32_t speed_percent);

#endif
