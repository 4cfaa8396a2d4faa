#include "console.h"

#include <string.h>

#include "board.h"

enum { SLOTS = 8, FIRST_SLOT = 0x10001000, SLOT_BYTES = 0x1000, FIRST_SOURCE = 1 };
enum { MAGIC = 0x74726976, CONSOLE = 3, MODERN = 2, RECEIVE = 0, TRANSMIT = 1 };

/* Registers, by number of their word. */
enum {
    MAGIC_VALUE = 0x00 / 4,
    VERSION = 0x04 / 4,
    DEVICE = 0x08 / 4,
    FEATURES = 0x20 / 4,
    FEATURES_PAGE = 0x24 / 4,
    QUEUE = 0x30 / 4,
    QUEUE_SIZE = 0x38 / 4,
    QUEUE_READY = 0x44 / 4,
    NOTIFY = 0x50 / 4,
    INTERRUPTS = 0x60 / 4,
    ACKNOWLEDGE = 0x64 / 4,
    STATUS = 0x70 / 4,
    DESCRIPTORS = 0x80 / 4,
    AVAILABLE = 0x90 / 4,
    USED = 0xa0 / 4
};

enum { SEEN = 1, DRIVER = 2, RUNNING = 4, FEATURES_FINE = 8 };
enum { HOST_WRITES = 2, NO_INTERRUPT = 1, IS_VERSION_1 = 1 /* bit 32: on page 1 */ };

static void set_address(volatile uint32_t *registers, uint32_t which, const volatile void *address) {
    registers[which] = (uint32_t)(uintptr_t)address;
    registers[which + 1] = 0;
}

static void give(bt_console_ring *ring, uint32_t id) {
    ring->available.ring[ring->available.index % BT_RING_BUFFERS] = (uint16_t)id;
    bt_fence(); /* the entry is there before the index says so */
    ring->available.index++;
}

static void start_ring(bt_console *console, uint32_t queue, bt_console_ring *ring, uint16_t flags) {
    volatile uint32_t *registers = console->registers;
    memset(ring, 0, sizeof *ring);
    for (uint32_t b = 0; b < BT_RING_BUFFERS; b++) {
        ring->descriptor[b].address = (uint32_t)(uintptr_t)ring->buffer[b];
        ring->descriptor[b].length = BT_RING_BUFFER_BYTES;
        ring->descriptor[b].flags = flags;
    }
    registers[QUEUE] = queue;
    registers[QUEUE_SIZE] = BT_RING_BUFFERS;
    set_address(registers, DESCRIPTORS, ring->descriptor);
    set_address(registers, AVAILABLE, &ring->available);
    set_address(registers, USED, &ring->used);
    registers[QUEUE_READY] = 1;
}

bool bt_console_start(bt_console *console) {
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        volatile uint32_t *registers = (volatile uint32_t *)(uintptr_t)(FIRST_SLOT + slot * SLOT_BYTES);
        if (registers[MAGIC_VALUE] != MAGIC || registers[DEVICE] != CONSOLE || registers[VERSION] != MODERN) continue;
        console->registers = registers;
        registers[STATUS] = 0;
        registers[STATUS] = SEEN | DRIVER;
        registers[FEATURES_PAGE] = 0;
        registers[FEATURES] = 0;
        registers[FEATURES_PAGE] = 1;
        registers[FEATURES] = IS_VERSION_1;
        registers[STATUS] = SEEN | DRIVER | FEATURES_FINE;
        start_ring(console, RECEIVE, &console->receive, HOST_WRITES);
        start_ring(console, TRANSMIT, &console->transmit, 0);
        console->transmit.available.flags = NO_INTERRUPT; /* who waits to send looks again by itself */
        console->ours = (1u << BT_RING_BUFFERS) - 1;
        registers[STATUS] = SEEN | DRIVER | FEATURES_FINE | RUNNING;
        for (uint32_t b = 0; b < BT_RING_BUFFERS; b++) give(&console->receive, b);
        registers[NOTIFY] = RECEIVE;
        bt_let_interrupt(FIRST_SOURCE + slot);
        return true;
    }
    return false;
}

/* The next buffer that the host has given back. */
static bool next_used(bt_console_ring *ring, uint32_t *id, uint32_t *length) {
    if (*(volatile uint16_t *)&ring->used.index == ring->seen) return false;
    bt_fence(); /* the entry was there before the index said so */
    *id = ring->used.ring[ring->seen % BT_RING_BUFFERS].id % BT_RING_BUFFERS;
    *length = ring->used.ring[ring->seen % BT_RING_BUFFERS].length;
    ring->seen++;
    return true;
}

size_t bt_console_receive(bt_console *console, uint8_t *to, size_t most) {
    bt_console_ring *ring = &console->receive;
    size_t count = 0;
    while (count < most) {
        if (!console->left) {
            if (!next_used(ring, &console->id, &console->left)) break;
            if (console->left > BT_RING_BUFFER_BYTES) console->left = BT_RING_BUFFER_BYTES;
            console->at = 0;
        }
        const size_t part = most - count < console->left ? most - count : console->left;
        memcpy(to + count, ring->buffer[console->id] + console->at, part);
        count += part;
        console->at += (uint32_t)part;
        console->left -= (uint32_t)part;
        if (console->left) break;
        give(ring, console->id);
        bt_fence();
        console->registers[NOTIFY] = RECEIVE;
    }
    return count;
}

size_t bt_console_send(bt_console *console, const uint8_t *from, size_t count) {
    bt_console_ring *ring = &console->transmit;
    uint32_t id, length;
    size_t sent = 0;
    while (next_used(ring, &id, &length)) console->ours |= 1u << id;
    while (sent < count && console->ours) {
        const size_t part = count - sent < BT_RING_BUFFER_BYTES ? count - sent : BT_RING_BUFFER_BYTES;
        id = (uint32_t)__builtin_ctz(console->ours);
        console->ours &= ~(1u << id);
        memcpy(ring->buffer[id], from + sent, part);
        ring->descriptor[id].length = (uint32_t)part;
        give(ring, id);
        sent += part;
    }
    if (!sent) return 0;
    bt_fence();
    console->registers[NOTIFY] = TRANSMIT;
    return sent;
}

void bt_console_acknowledge(bt_console *console) {
    console->registers[ACKNOWLEDGE] = console->registers[INTERRUPTS];
    bt_fence();
}
