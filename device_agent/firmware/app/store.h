/* What outlives a power cut: the plan, three banks of weights for each wearer, and one small record that says which of
 * them count. */
#ifndef BIOTRAIN_STORE_H
#define BIOTRAIN_STORE_H

#include "../trust/trust.h"
#include "biotrain/plan.h"
#include "biotrain/port.h"
#include "event.h"
#include "layout.h"

enum { BT_NO_BANK = 0xff };

/* A file in one of two places: `length` 0 means that there is none. */
typedef struct bt_stored {
    uint32_t place, length, crc, version;
    uint32_t layout; /* of weights: of the plan that they were written under (bt_plan_layout) */
} bt_stored;

enum { BT_WEARER_BYTES = 24 };

/* A place for one person's weights. The first place is always there and has no name. */
typedef struct bt_wearer {
    char name[BT_WEARER_BYTES]; /* "" and not the first: free */
    bt_stored serving, previous;
} bt_wearer;

typedef struct bt_state {
    uint32_t counter; /* of writes of this record: the larger one counts */
    uint32_t boot, next_version;
    uint32_t active;  /* the wearer whose weights serve */
    uint32_t erasing; /* bits: wearers' banks, and BT_ERASE_PLANS: to be overwritten, whatever else happens first */
    bt_stored plan;
    bt_wearer wearer[BT_WEARERS];
    uint32_t plan_number;               /* of its signature: an older one is refused, also after a reset */
    uint8_t plan_digest[BT_HASH_BYTES]; /* SHA-256 of that plan's file with its signature */
    bt_event told; /* the event that belongs to this change: appended at boot if a cut came before the log had it */
} bt_state;

typedef struct bt_store {
    bt_port *port;
    bt_state state; /* as it is in storage */
    /* Of a device with keys: then only a record with its code counts. NULL: only one without. */
    const uint8_t *secret;
    bool orphaned; /* all records have codes, and there is no secret: the keys have been lost */
} bt_store;

enum { BT_ERASE_PLANS = 1 << BT_WEARERS, BT_ERASE_ALL = 2 * BT_ERASE_PLANS - 1 };

static inline bt_wearer *bt_active(bt_state *state) { return &state->wearer[state->active]; }

bt_status bt_store_open(bt_store *store, bt_port *port, const uint8_t *secret);
/* Make `next` the state that counts: one write. On failure the old one still does. */
bt_status bt_store_set(bt_store *store, bt_state next);

/* Write a file into the place that does not count, weights into one of the active wearer's; *out is how the state should
 * name it. */
bt_status bt_store_write_plan(bt_store *store, const uint8_t *file, uint32_t length, bt_stored *out);
bt_status bt_store_write_weights(bt_store *store, const uint8_t *header, const uint8_t *values, uint32_t value_bytes,
                                 uint32_t version, bt_stored *out);
/* Read a whole file and check its CRC: BT_BAD_CRC when the place holds something else by now. */
bt_status bt_store_read_plan(const bt_store *store, uint8_t *to, uint32_t most);
bt_status bt_store_read_weights(const bt_store *store, const bt_stored *which, uint8_t *to, uint32_t most);

/* Overwrite what state.erasing names, then clear it: one write of the record at the end. To be called until it succeeds. */
bt_status bt_store_finish_erasing(bt_store *store);

#endif
