/* The memory levels that the linker script has laid out, and fences around them. */
#include "board.h"
#include "riscv.h"
#include "semihosting.h"

extern uint8_t __code_end[], __l1_free[], __l1_end[], __l2_free[], __l2_end[], __l3_free[], __l3_end[];
extern uint8_t __worker_stacks[], __l2_start[];

void bt_fence_levels(void);
void bt_fence_levels_of_worker(void);
_Noreturn void bt_trapped(uint32_t cause, uint32_t at, uint32_t address);

static uint32_t size(const uint8_t *from, const uint8_t *to) { return (uint32_t)(to - from); }

void bt_riscv_memory(bt_memory *memory) {
    *memory = (bt_memory){
        .l1 = __l1_free,
        .l2 = __l2_free,
        .l3 = __l3_free,
        .l1_size = size(__l1_free, __l1_end),
        .l2_size = size(__l2_free, __l2_end),
        .l3_size = size(__l3_free, __l3_end),
    };
}

/* Pages, because the emulator is slow where a fence cuts one. */
static uint32_t page_after(const uint8_t *address) { return ((uint32_t)(uintptr_t)address + 4095) / 4096 * 4096; }
static uint32_t page_of(const uint8_t *address) { return (uint32_t)(uintptr_t)address / 4096 * 4096; }

#define ADDRESS(n, value) BT_CSR_WRITE("pmpaddr" #n, (value) >> 2)

/* Physical memory protection, locked, so that it binds machine mode, too: code can be read and run, and nothing may
 * touch the holes between the levels. The emulator's memory is one piece; without this it would let a program take
 * more than GAP9 has. */
void bt_fence_levels(void) {
    enum { TO_TOP = 1 << 3, READ = 1, RUN = 4, LOCKED = 1 << 7, OFF = 0 };
    const uint32_t hole = LOCKED | TO_TOP, code = LOCKED | TO_TOP | READ | RUN;
    ADDRESS(0, 0x80000000u);
    ADDRESS(1, page_after(__code_end));
    ADDRESS(2, page_of(__worker_stacks));
    ADDRESS(3, page_after(__l1_end));
    ADDRESS(4, page_of(__l2_start));
    ADDRESS(5, page_after(__l2_end));
    ADDRESS(6, page_of(__l3_free));
    ADDRESS(7, page_after(__l3_end));
    ADDRESS(8, 0x90000000u);
    BT_CSR_WRITE("pmpcfg0", OFF | code << 8 | hole << 16 | OFF << 24);
    BT_CSR_WRITE("pmpcfg1", hole | OFF << 8 | hole << 16 | OFF << 24);
    BT_CSR_WRITE("pmpcfg2", hole);
}

void bt_fence_levels_of_worker(void) { bt_fence_levels(); }

static char *put_hex(char *to, uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[value >> shift & 15];
    return to;
}

static char *put(char *to, const char *text) {
    while (*text) *to++ = *text++;
    return to;
}

enum { BY_WATCHDOG = 0x57444f47 };
#define WATCHDOG_CAUSE 0x80000007u /* the timer's interrupt: no other is ever taken */

/* Not cleared at start: tells the next life why it began. */
static uint32_t reset_reason __attribute__((section(".noinit")));

bool bt_after_watchdog(void) {
    const bool by_watchdog = reset_reason == BY_WATCHDOG;
    reset_reason = 0;
    return by_watchdog;
}

_Noreturn void bt_trapped(uint32_t cause, uint32_t at, uint32_t address) {
    if (cause == WATCHDOG_CAUSE) {
        bt_complain("biotrain-wearable: the watchdog: nothing was served for too long; starting again");
        reset_reason = BY_WATCHDOG;
        bt_reset_board();
        for (;;) bt_wait_for_interrupt();
    }
    char line[96], *end = put(line, "biotrain-wearable: trap, cause 0x");
    end = put_hex(end, cause);
    end = put(put_hex(put(end, " at 0x"), at), ", address 0x");
    *put_hex(end, address) = 0;
    bt_complain(line);
    bt_exit(70);
}
