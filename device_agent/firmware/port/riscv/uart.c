/* The link: the board's serial line (a 16550). The emulator holds bytes back while the receiver is full. */
#include "board.h"
#include "riscv.h"

enum {
    DATA = 0,
    INTERRUPTS = 1,
    FIFO = 2,
    LINE = 3,
    STATUS = 5,
    RECEIVED = 0x01,
    SENT = 0x20, /* the transmit FIFO is empty: it takes 16 bytes */
    FIFO_BYTES = 16,
    UART_SOURCE = 10
};

void bt_uart_start(void) {
    *bt_uart(INTERRUPTS) = 0;
    *bt_uart(LINE) = 3;          /* eight bits, no parity */
    *bt_uart(FIFO) = 0x07;       /* on, and empty */
    *bt_uart(INTERRUPTS) = 0x01; /* when a byte has come */
    *bt_interrupts(4 * UART_SOURCE) = 1;
    *bt_interrupts(0x2000) = 1u << UART_SOURCE; /* hart 0, machine mode */
    *bt_interrupts(0x200000) = 0;
}

size_t bt_port_receive(bt_port *port, uint8_t *to, size_t most) {
    size_t count = 0;
    (void)port;
    while (count < most && *bt_uart(STATUS) & RECEIVED) to[count++] = *bt_uart(DATA);
    return count;
}

size_t bt_port_send(bt_port *port, const uint8_t *from, size_t count) {
    size_t sent = 0;
    (void)port;
    while (sent < count && *bt_uart(STATUS) & SENT)
        for (uint32_t i = 0; i < FIFO_BYTES && sent < count; i++) *bt_uart(DATA) = from[sent++];
    return sent;
}
