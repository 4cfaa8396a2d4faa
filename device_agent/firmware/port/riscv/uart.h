/* The board's own UART (16550): a byte at a time, as on a wearable's serial line. Ten times slower in an emulator than
 * console.h, and what a driver of a real one looks like. */
#ifndef BIOTRAIN_RISCV_UART_H
#define BIOTRAIN_RISCV_UART_H

#include <stddef.h>
#include <stdint.h>

void bt_uart_start(void);
size_t bt_uart_receive(uint8_t *to, size_t most);
size_t bt_uart_send(const uint8_t *from, size_t count);

#endif
