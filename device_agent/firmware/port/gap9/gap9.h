/* GAP9 as a wearable: what a bt_port is here.
 *
 * Two sides share it. The cluster's controller runs the app, and its eight workers the kernels; it may call nothing of
 * the SDK but what begins with pi_cl_. The fabric controller owns the devices and runs main.c's loop: it starts the
 * cluster when there is something to serve, and does for it what only it can do (`bt_ask`). The struct lies in L2. */
#ifndef BIOTRAIN_GAP9_H
#define BIOTRAIN_GAP9_H

#include "biotrain/engine.h"
#include "nor.h"
#include "pmsis.h"
#include "settings.h"

#include "bsp/flash.h"
#include "bsp/ram.h"

#include BT_FLASH_HEADER
#include BT_RAM_HEADER

/* One writer, one reader: each moves one of the two ends. Both count on and wrap with 32 bits. */
typedef struct bt_bytes {
    uint8_t at[BT_LINK_BYTES];
    volatile uint32_t written, read;
} bt_bytes;

typedef enum bt_wish { BT_WISH_NONE, BT_WISH_STORAGE_READ, BT_WISH_STORAGE_WRITE } bt_wish;

/* What the cluster asks of the fabric controller. The bytes pass through L2: no device reaches L1, or L3's window. */
typedef struct bt_request {
    volatile bt_wish wish;
    uint32_t offset, count;
    int failed;
    uint8_t bytes[BT_STORAGE_SECTOR];
    volatile bool done;
} bt_request;

/* A window that the front end has completed and that has not been taken yet. */
typedef struct bt_captured {
    const int16_t *counts;
    uint32_t id;
    uint64_t ended_us;
} bt_captured;

struct bt_front_end;

typedef struct bt_front_end_state {
    const struct bt_front_end *about; /* what the driver has told of itself */
    bool running;
    uint32_t next;                   /* number of the window that is being recorded */
    uint64_t due_us;                 /* when it will be complete */
    bt_captured held[BT_FRONT_END_WINDOWS];
    volatile uint32_t put, taken;    /* of `held`: one writer, one reader */
} bt_front_end_state;

struct bt_port {
    struct pi_device cluster, ram, flash, uart, window_on_ram;
    struct pi_cluster_conf cluster_conf;
    struct pi_uart_conf uart_conf;
    pi_xip_conf_t xip_conf;
    BT_RAM_CONF ram_conf;
    BT_FLASH_CONF flash_conf;
    uint32_t ram_at, flash_at, flash_sector;
    bt_memory memory;
    bt_nor nor;

    /* link.c */
    bt_bytes from_agent, to_agent;
    pi_task_t arrived[2], sent, kicked;
    uint8_t byte[2];
    uint32_t arrived_next; /* reads end in the order in which they began */
    uint32_t sending; /* bytes that the UART is sending now */
    volatile bool kick;

    /* ask.c */
    bt_request request;
    pi_task_t asked, ended, tick, woken, watching;
    volatile bool wanted, finished, ticking, waking, alive;

    /* clock.c: the fabric controller's time when the cluster was started, and its cycles since */
    uint64_t time_us, told_us, cycles, instructions;
    uint32_t time_low, cycles_low, instructions_low;

    /* copy.c */
    pi_cl_dma_cmd_t copy[BT_COPIES];
    uint32_t copies;

    bt_front_end_state front_end;
};

/* Fabric controller's side. All return false when the device cannot be used. */
bool bt_gap9_open_memory(bt_port *port);
bool bt_gap9_open_storage(bt_port *port);
bool bt_gap9_open_link(bt_port *port);
bool bt_gap9_open_cluster(bt_port *port);
void bt_gap9_prepare_to_be_asked(bt_port *port);
void bt_gap9_serve_request(bt_port *port);
/* Before the cluster starts: what the time is. */
void bt_gap9_set_clock(bt_port *port);
/* From any interrupt: the loop has something to look at. */
void bt_gap9_wake(bt_port *port);
void bt_gap9_start_watchdog(bt_port *port);

/* Cluster's side. */
void bt_gap9_start_counters(bt_port *port);
int bt_ask(bt_port *port, bt_wish wish, uint32_t offset, uint32_t count);

#endif
