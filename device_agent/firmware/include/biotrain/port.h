/* What a port must give: cores, copies, counters, bytes, storage, time. Nothing else in the firmware
 * knows where it runs. One context (bt_port) holds all state; ports have no globals. */
#ifndef BIOTRAIN_PORT_H
#define BIOTRAIN_PORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct bt_port bt_port;

/* One piece of work; pieces write disjoint outputs, so any order and any number of cores gives the same bits. */
typedef void (*bt_piece)(void *arg, uint32_t index);

/* Run pieces 0..count-1 on the cores and wait for all. */
void bt_port_parallel(bt_port *port, bt_piece piece, void *arg, uint32_t count);
/* How many there are: a kernel may make as many pieces. */
uint32_t bt_port_cores(bt_port *port);

/* Start a copy between memory levels; bt_port_copy_wait returns when all started copies are done. */
void bt_port_copy_start(bt_port *port, void *to, const void *from, uint32_t bytes);
/* Rows of so many bytes, which begin `pitch` bytes apart in `from` and lie side by side in `to`. */
void bt_port_copy_rows(bt_port *port, void *to, const void *from, uint32_t rows, uint32_t bytes, uint32_t pitch);
void bt_port_copy_wait(bt_port *port);

uint64_t bt_port_cycles(bt_port *port);
uint64_t bt_port_instructions(bt_port *port);
/* Microseconds since boot, never going back. */
uint64_t bt_port_time_us(bt_port *port);

/* The device starts again, as after a power cut, unless this is called again within the port's time. A port that is part
 * of another process has no watchdog. */
void bt_port_watchdog(bt_port *port);
/* Why the device has started: "" or "watchdog". */
const char *bt_port_start_reason(bt_port *port);

/* Bytes of the link; neither call blocks. Both return how many bytes were moved. */
size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most);
size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count);

/* Persistent storage, byte-addressed; a write is durable when the call returns. 0 on success. */
uint32_t bt_port_storage_size(bt_port *port);
int bt_port_storage_read(bt_port *port, uint32_t offset, void *to, uint32_t count);
int bt_port_storage_write(bt_port *port, uint32_t offset, const void *from, uint32_t count);

/* What has been computed since boot, in windows: ports that have no gauge reckon from it what the cell has given. */
typedef struct bt_work {
    uint32_t inferred, trained;
} bt_work;

enum { BT_UNTOLD = INT32_MIN }; /* the board cannot measure it */

/* Charge in thousandths, 1 on the charger, tenths of a degree Celsius; each may be BT_UNTOLD. */
typedef struct bt_power {
    int32_t battery_permille, charging, temperature_decicelsius;
} bt_power;

bt_power bt_port_power(bt_port *port, bt_work done);

/* Windows that the device records itself, complete at a time of its own clock. A port without electrodes has none. */
/* Bytes of each window's body; 0 when there are no electrodes. */
uint32_t bt_port_source_window_bytes(bt_port *port);
void bt_port_source_start(bt_port *port);
void bt_port_source_stop(bt_port *port);
/* When the next window is complete, microseconds since boot; UINT64_MAX when none will come. */
uint64_t bt_port_source_due(bt_port *port);
/* The body of that window (app/window.h); returns its bytes, 0 when there is none or it is larger than `most`. */
uint32_t bt_port_source_take(bt_port *port, uint8_t *to, uint32_t most);

/* An entry of the event log has become durable: a port with a console or a file tells it there, too. */
struct bt_event;
void bt_port_event(bt_port *port, const struct bt_event *event);

#endif
