/* Recent windows in external memory. A new one takes the oldest one's place; those that a fit uses are passed over.
 * Where that memory keeps its content over a restart, the windows are found again: each has a checksum, and the whole
 * says which plan it is of. */
#ifndef BIOTRAIN_RING_H
#define BIOTRAIN_RING_H

#include "window.h"

/* Enough for hours of trials; more would only make the search for an id longer. */
enum { BT_RING_MOST = 4096 };
#define BT_NO_SLOT UINT32_MAX

/* Who needs a window to stay. */
enum { BT_PIN_FIT = 1, BT_PIN_EVALUATION = 2 };

struct bt_ring_mark;

typedef struct bt_ring {
    struct bt_ring_mark *mark; /* says whose windows these are, for which plan */
    const bt_plan *plan;
    uint8_t *bodies;
    uint8_t *pinned; /* one byte a slot, of BT_PIN_ bits */
    uint32_t *order; /* when a slot was filled; 0: empty */
    uint32_t *check; /* checksum of a filled slot's body and order */
    uint32_t capacity, stride, next, held, filled;
} bt_ring;

/* Takes what is left of L3, with the windows of this plan and owner that are still whole there. BT_NO_MEMORY when that is not
 * even room for two windows. */
bt_status bt_ring_init(bt_ring *ring, const bt_plan *plan, bt_memory *memory, uint32_t owner);
/* Nothing is left of what was in it; from here on it is `owner`'s. */
void bt_ring_clear(bt_ring *ring, uint32_t owner);
uint8_t *bt_ring_body(const bt_ring *ring, uint32_t slot);
/* The slot that the next window will take; BT_NO_SLOT when all are pinned. It is not in the ring before bt_ring_keep. */
uint32_t bt_ring_claim(bt_ring *ring);
void bt_ring_keep(bt_ring *ring, uint32_t slot);
void bt_ring_label(bt_ring *ring, uint32_t slot, int32_t label);
/* The newest window with this id; BT_NO_SLOT when it is not (or no longer) there. */
uint32_t bt_ring_find(const bt_ring *ring, uint32_t id);

#endif
