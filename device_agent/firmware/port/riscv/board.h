/* QEMU's virt board: where its devices lie, and the control and status registers. */
#ifndef BIOTRAIN_RISCV_BOARD_H
#define BIOTRAIN_RISCV_BOARD_H

#include <stdbool.h>
#include <stdint.h>

enum { BT_MOST_CORES = 8, BT_TICKS_A_US = 10 };

/* Core-local interruptor: a word a hart that interrupts it, a time at which the timer interrupts it, the time. */
static inline volatile uint32_t *bt_software_interrupt(uint32_t hart) {
    return (volatile uint32_t *)(uintptr_t)(0x02000000u + 4 * hart);
}
static inline volatile uint32_t *bt_timer_compare(void) { return (volatile uint32_t *)(uintptr_t)0x02004000u; }
static inline volatile uint32_t *bt_timer(void) { return (volatile uint32_t *)(uintptr_t)0x0200bff8u; }

/* Interrupts of devices, by source; for hart 0 in machine mode. */
static inline volatile uint32_t *bt_interrupts(uint32_t r) { return (volatile uint32_t *)(uintptr_t)(0x0c000000u + r); }
static inline void bt_let_interrupt(uint32_t source) {
    *bt_interrupts(4 * source) = 1; /* priority */
    *bt_interrupts(0x2000) |= 1u << source;
    *bt_interrupts(0x200000) = 0; /* any priority may interrupt */
}
/* The source that interrupts, 0 for none; it may do so again once it is given back. */
static inline uint32_t bt_claim_interrupt(void) { return *bt_interrupts(0x200004); }
static inline void bt_complete_interrupt(uint32_t source) { *bt_interrupts(0x200004) = source; }

/* The board's own reset; memory keeps its content. */
static inline void bt_reset_board(void) { *(volatile uint32_t *)(uintptr_t)0x00100000u = 0x7777; }
/* memory.c: the last reset was the watchdog's. Asking clears it. */
bool bt_after_watchdog(void);

/* mstatus.MIE: interrupts that are pending are taken. */
enum { BT_INTERRUPTS = 1 << 3 };
/* Bits of mie and mip. */
enum { BT_SOFTWARE = 1 << 3, BT_TIMER = 1 << 7, BT_EXTERNAL = 1 << 11 };

/* The assembler wants the extension named; the compiler must not hear of it (it would take another C library). */
#define BT_CSR(instruction) ".option push\n.option arch, +zicsr\n" instruction "\n.option pop"
#define BT_CSR_READ(name, value) __asm__ volatile(BT_CSR("csrr %0, " name) : "=r"(value))
#define BT_CSR_SET(name, value) __asm__ volatile(BT_CSR("csrs " name ", %0") : : "r"((uint32_t)(value)))
#define BT_CSR_CLEAR(name, value) __asm__ volatile(BT_CSR("csrc " name ", %0") : : "r"((uint32_t)(value)))
#define BT_CSR_WRITE(name, value) __asm__ volatile(BT_CSR("csrw " name ", %0") : : "r"((uint32_t)(value)))

static inline void bt_wait_for_interrupt(void) { __asm__ volatile("wfi" : : : "memory"); }
static inline void bt_fence(void) { __asm__ volatile("fence iorw, iorw" : : : "memory"); }

#endif
