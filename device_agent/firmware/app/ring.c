#include "ring.h"

#include <string.h>

bt_status bt_ring_init(bt_ring *ring, const bt_plan *plan, bt_memory *memory) {
    memset(ring, 0, sizeof *ring);
    ring->plan = plan;
    ring->stride = (bt_window_bytes(plan) + 15) / 16 * 16;
    const uint32_t each = ring->stride + (uint32_t)sizeof *ring->order + 1, slack = 64;
    const uint32_t left = memory->l3_size - memory->l3_used;
    ring->capacity = left > slack ? (left - slack) / each : 0;
    if (ring->capacity > BT_RING_MOST) ring->capacity = BT_RING_MOST;
    if (ring->capacity < 2) return BT_NO_MEMORY;
    ring->bodies = bt_take_l3(memory, ring->capacity * ring->stride);
    ring->order = bt_take_l3(memory, ring->capacity * (uint32_t)sizeof *ring->order);
    ring->pinned = bt_take_l3(memory, ring->capacity);
    if (!ring->bodies || !ring->order || !ring->pinned) return BT_NO_MEMORY;
    memset(ring->order, 0, ring->capacity * sizeof *ring->order);
    memset(ring->pinned, 0, ring->capacity);
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
    ring->held++;
    ring->next = (slot + 1) % ring->capacity;
}

uint32_t bt_ring_find(const bt_ring *ring, uint32_t id) {
    uint32_t found = BT_NO_SLOT;
    for (uint32_t slot = 0; slot < ring->capacity; slot++)
        if (ring->order[slot] && bt_window_id(bt_ring_body(ring, slot)) == id &&
            (found == BT_NO_SLOT || ring->order[slot] > ring->order[found]))
            found = slot;
    return found;
}
