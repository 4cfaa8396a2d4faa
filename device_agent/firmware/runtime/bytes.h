/* Little-endian words of a file, at any alignment. */
#ifndef BIOTRAIN_BYTES_H
#define BIOTRAIN_BYTES_H

#include <stdint.h>

static inline uint32_t bt_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t bt_u16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline void bt_put_u32(uint8_t *p, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (8 * i));
}

#endif
