#include "uart.h"

#include "board.h"

enum { BASE = 0x10000000, SOURCE = 10 };
enum { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE = 3, STATUS = 5 };
enum { WHEN_RECEIVED = 1, WITH_FIFO = 1, EIGHT_BITS = 3, HAS_BYTE = 1, MAY_SEND = 1 << 5 };

static volatile uint8_t *uart(void) { return (volatile uint8_t *)(uintptr_t)BASE; }

void bt_uart_start(void) {
    uart()[LINE] = EIGHT_BITS;
    uart()[FIFO] = WITH_FIFO;
    uart()[INTERRUPTS] = WHEN_RECEIVED; /* gone again when the last byte has been read */
    bt_let_interrupt(SOURCE);
}

size_t bt_uart_receive(uint8_t *to, size_t most) {
    size_t count = 0;
    while (count < most && uart()[STATUS] & HAS_BYTE) to[count++] = uart()[DATA];
    return count;
}

size_t bt_uart_send(const uint8_t *from, size_t count) {
    size_t sent = 0;
    while (sent < count && uart()[STATUS] & MAY_SEND) uart()[DATA] = from[sent++];
    return sent;
}
