/* What outlives a power cut: the plan, two banks of weights, and one small record that says which of them count. */
#ifndef BIOTRAIN_STORE_H
#define BIOTRAIN_STORE_H

#include "biotrain/plan.h"
#include "biotrain/port.h"
#include "event.h"

enum { BT_NO_BANK = 0xff };

/* A file in one of two places: `length` 0 means that there is none. */
typedef struct bt_stored {
    uint32_t place, length, crc, version;
} bt_stored;

typedef struct bt_state {
    uint32_t counter; /* of writes of this record: the larger one counts */
    uint32_t boot, next_version;
    bt_stored plan, serving, previous;
    bt_event told; /* the event that belongs to this change: appended at boot if a cut came before the log had it */
} bt_state;

typedef struct bt_store {
    bt_port *port;
    bt_state state; /* as it is in storage */
} bt_store;

bt_status bt_store_open(bt_store *store, bt_port *port);
/* Make `next` the state that counts: one write. On failure the old one still does. */
bt_status bt_store_set(bt_store *store, bt_state next);

/* Write a file in two parts into the place that does not count; *out is how the state should name it. */
bt_status bt_store_write_plan(bt_store *store, const uint8_t *file, uint32_t length, bt_stored *out);
bt_status bt_store_write_weights(bt_store *store, const uint8_t *header, const uint8_t *values, uint32_t value_bytes,
                                 uint32_t version, bt_stored *out);
/* Read a whole file and check its CRC: BT_BAD_CRC when the place holds something else by now. */
bt_status bt_store_read_plan(const bt_store *store, uint8_t *to, uint32_t most);
bt_status bt_store_read_weights(const bt_store *store, const bt_stored *which, uint8_t *to, uint32_t most);

#endif
