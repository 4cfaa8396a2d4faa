/* Little-endian words of a file, at any alignment. */
#ifndef BIOTRAIN_BYTES_H
#define BIOTRAIN_BYTES_H

#include <stdint.h>

/* A word that lies as the processor likes it is one load. */
static inline uint32_t bt_u32(const uint8_t *p) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (!((uintptr_t)p & 3)) {
        uint32_t word;
        __builtin_memcpy(&word, __builtin_assume_aligned(p, 4), sizeof word);
        return word;
    }
#endif
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t bt_u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline void bt_put_u32(uint8_t *p, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (8 * i));
}

#endif
