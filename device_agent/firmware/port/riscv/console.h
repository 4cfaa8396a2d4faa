/* A paravirtual serial line (virtio console over memory-mapped registers, version 1 of its specification): two rings
 * of buffers are shared with the host, which fills those of the one and empties those of the other. The board's own
 * UART would cost the emulator two exits for every byte. */
#ifndef BIOTRAIN_RISCV_CONSOLE_H
#define BIOTRAIN_RISCV_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BT_RING_BUFFERS = 8, BT_RING_BUFFER_BYTES = 512 };

/* Laid out as the specification has it; "available" is what we give to the host, "used" what it gives back. */
typedef struct bt_console_ring {
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } descriptor[BT_RING_BUFFERS];
    struct {
        uint16_t flags, index, ring[BT_RING_BUFFERS];
    } available;
    struct {
        uint16_t flags, index;
        struct {
            uint32_t id, length;
        } ring[BT_RING_BUFFERS];
    } used;
    uint8_t buffer[BT_RING_BUFFERS][BT_RING_BUFFER_BYTES];
    uint16_t seen; /* of what the host has given back */
} bt_console_ring;

typedef struct bt_console {
    volatile uint32_t *registers;
    bt_console_ring receive, transmit;
    uint32_t at, left, id; /* of the received buffer that is being read */
    uint32_t ours;         /* bit b: transmit buffer b is free */
} bt_console;

/* False when the machine has none. */
bool bt_console_start(bt_console *console);
size_t bt_console_receive(bt_console *console, uint8_t *to, size_t most);
size_t bt_console_send(bt_console *console, const uint8_t *from, size_t count);
/* The interrupt that said that bytes have come was seen. */
void bt_console_acknowledge(bt_console *console);

#endif
