#include "ring.h"

#include <string.h>

enum { RING_MAGIC = 0x474e4952 }; /* "RING" */

/* What must be the same for the content to be this ring's. */
typedef struct bt_ring_mark {
    uint32_t magic, capacity, stride, owner;
    uint8_t plan_hash[BT_HASH_BYTES];
} bt_ring_mark;

static uint32_t check_of(const bt_ring *ring, uint32_t slot) {
    const uint32_t crc = bt_crc32(0, bt_ring_body(ring, slot), bt_window_bytes(ring->plan));
    return bt_crc32(crc, (const uint8_t *)&ring->order[slot], sizeof *ring->order);
}

static void find_again(bt_ring *ring) {
    for (uint32_t slot = 0; slot < ring->capacity; slot++) {
        if (!ring->order[slot]) continue;
        if (ring->check[slot] != check_of(ring, slot) ||
            bt_window_check(ring->plan, bt_ring_body(ring, slot), bt_window_bytes(ring->plan)) != BT_OK) {
            ring->order[slot] = 0; /* power went while it was being written */
            continue;
        }
        ring->held++;
        if (ring->order[slot] > ring->filled) {
            ring->filled = ring->order[slot];
            ring->next = (slot + 1) % ring->capacity;
        }
    }
}

static bt_ring_mark mark_of(const bt_ring *ring, uint32_t owner) {
    bt_ring_mark mark = {.magic = RING_MAGIC, .capacity = ring->capacity, .stride = ring->stride, .owner = owner};
    memcpy(mark.plan_hash, ring->plan->hash, BT_HASH_BYTES);
    return mark;
}

void bt_ring_clear(bt_ring *ring, uint32_t owner) {
    memset(ring->order, 0, ring->capacity * sizeof *ring->order);
    memset(ring->pinned, 0, ring->capacity);
    memset(ring->bodies, 0, (size_t)ring->capacity * ring->stride);
    ring->next = ring->held = ring->filled = 0;
    *ring->mark = mark_of(ring, owner);
}

bt_status bt_ring_init(bt_ring *ring, const bt_plan *plan, bt_memory *memory, uint32_t owner) {
    memset(ring, 0, sizeof *ring);
    ring->plan = plan;
    ring->stride = (bt_window_bytes(plan) + 15) / 16 * 16;
    const uint32_t each = ring->stride + 2 * (uint32_t)sizeof *ring->order + 1, slack = 128 + (uint32_t)sizeof(bt_ring_mark);
    const uint32_t left = memory->l3_size - memory->l3_used;
    ring->capacity = left > slack ? (left - slack) / each : 0;
    if (ring->capacity > BT_RING_MOST) ring->capacity = BT_RING_MOST;
    if (ring->capacity < 2) return BT_NO_MEMORY;
    ring->mark = bt_take_l3(memory, (uint32_t)sizeof *ring->mark);
    ring->bodies = bt_take_l3(memory, ring->capacity * ring->stride);
    ring->order = bt_take_l3(memory, ring->capacity * (uint32_t)sizeof *ring->order);
    ring->check = bt_take_l3(memory, ring->capacity * (uint32_t)sizeof *ring->check);
    ring->pinned = bt_take_l3(memory, ring->capacity);
    if (!ring->mark || !ring->bodies || !ring->order || !ring->check || !ring->pinned) return BT_NO_MEMORY;
    memset(ring->pinned, 0, ring->capacity);
    const bt_ring_mark expected = mark_of(ring, owner);
    if (memcmp(ring->mark, &expected, sizeof expected) == 0)
        find_again(ring);
    else
        bt_ring_clear(ring, owner); /* another plan's windows, or another person's */
    return BT_OK;
}

uint8_t *bt_ring_body(const bt_ring *ring, uint32_t slot) { return ring->bodies + (size_t)slot * ring->stride; }

uint32_t bt_ring_claim(bt_ring *ring) {
    uint32_t passed = 0;
    while (ring->pinned[ring->next]) {
        if (++passed == ring->capacity) return BT_NO_SLOT;
        ring->next = (ring->next + 1) % ring->capacity;
    }
    if (ring->order[ring->next]) ring->held--;
    ring->order[ring->next] = 0;
    return ring->next;
}

void bt_ring_keep(bt_ring *ring, uint32_t slot) {
    ring->order[slot] = ++ring->filled;
    ring->check[slot] = check_of(ring, slot);
    ring->held++;
    ring->next = (slot + 1) % ring->capacity;
}

void bt_ring_label(bt_ring *ring, uint32_t slot, int32_t label) {
    bt_window_set_label(bt_ring_body(ring, slot), label);
    ring->check[slot] = check_of(ring, slot);
}

uint32_t bt_ring_find(const bt_ring *ring, uint32_t id) {
    uint32_t found = BT_NO_SLOT;
    for (uint32_t slot = 0; slot < ring->capacity; slot++)
        if (ring->order[slot] && bt_window_id(bt_ring_body(ring, slot)) == id &&
            (found == BT_NO_SLOT || ring->order[slot] > ring->order[found]))
            found = slot;
    return found;
}
