/* A host process as a wearable: what a bt_port is here. One struct a device, no globals. */
#ifndef BIOTRAIN_HOST_H
#define BIOTRAIN_HOST_H

#include <stdbool.h>
#include <stdio.h>

#include "../cell.h"
#include "biotrain/engine.h"

enum {
    BT_HOST_L1_BYTES = 128000, /* GAP9's levels; KB and MB are powers of ten */
    BT_HOST_L2_BYTES = 1500000,
    BT_HOST_L3_BYTES = 8000000,
    BT_PIPE_BYTES = 65536,
    BT_ERROR_BYTES = 512
};

/* Bytes on their way within the process. */
typedef struct bt_pipe {
    uint8_t bytes[BT_PIPE_BYTES];
    size_t start, count;
} bt_pipe;

size_t bt_pipe_put(bt_pipe *pipe, const uint8_t *from, size_t count);
size_t bt_pipe_get(bt_pipe *pipe, uint8_t *to, size_t most);

/* A recording file (.btrc), played on the device's clock. Header, 32 bytes: "BTRC", version u32 1, channels u32,
 * samples u32, windows u32, period f32 (s), sampling rate f32, 0; then for each window label i32, float32
 * scale[channels], int16 counts[channels][samples]. */
typedef struct bt_source {
    FILE *file;
    uint32_t channels, samples, windows, next;
    double period_us;
    uint64_t started_us;
    bool running;
} bt_source;

struct bt_port {
    uint64_t started_ns;
    uint64_t watchdog_us, watched_us; /* 0: no watchdog; when it was last told to wait */
    bool after_watchdog;
    /* link: a socket, a serial line, or two pipes */
    int listener, connection;
    const char *serial_path; /* NULL: TCP */
    bool told_of_silence;
    uint64_t heard_us;    /* when the connection last gave a byte */
    bool connection_lost; /* to be told to the app */
    bt_pipe *to_device, *to_agent;
    /* storage: a file, or bytes of the caller */
    int storage_file;
    uint8_t *storage_bytes;
    int64_t writes_left; /* tests cut the power after so many writes; negative: never */
    int event_log;
    uint32_t logged; /* at start: index of the newest event in it */
    bt_source source;
    bt_cell cell;
};

/* All return false with a sentence in `error` that says what to do. */
bool bt_host_open_storage(bt_port *port, const char *path, char error[BT_ERROR_BYTES]);
bool bt_host_open_event_log(bt_port *port, const char *path, char error[BT_ERROR_BYTES]);
bool bt_host_open_recording(bt_port *port, const char *path, double speed, char error[BT_ERROR_BYTES]);

/* Memory levels of exactly GAP9's sizes, each a block of its own. */
bool bt_host_take_memory(bt_memory *memory);
/* External memory that keeps its content: a file that is mapped in the place of the block. */
bool bt_host_map_l3(bt_memory *memory, const char *path, char error[BT_ERROR_BYTES]);
void bt_host_give_back(bt_memory *memory, bool mapped);

void bt_host_init(bt_port *port);
void bt_host_close(bt_port *port);

#endif
