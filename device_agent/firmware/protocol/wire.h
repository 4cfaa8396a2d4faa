/* Writes and reads the little-endian fields of a payload; running over the end is remembered, never done. */
#ifndef BIOTRAIN_WIRE_H
#define BIOTRAIN_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct bt_writer {
    uint8_t *start;
    uint32_t length, most;
    bool overflow;
} bt_writer;

static inline void bt_write(bt_writer *w, const void *bytes, uint32_t count) {
    if (count > w->most - w->length) {
        w->overflow = true;
        return;
    }
    if (count) memcpy(w->start + w->length, bytes, count);
    w->length += count;
}
static inline void bt_write_u8(bt_writer *w, uint32_t value) {
    const uint8_t byte = (uint8_t)value;
    bt_write(w, &byte, 1);
}
static inline void bt_write_u16(bt_writer *w, uint32_t value) {
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    bt_write(w, bytes, 2);
}
static inline void bt_write_u32(bt_writer *w, uint32_t value) {
    bt_write_u16(w, value & 0xffff);
    bt_write_u16(w, value >> 16);
}
static inline void bt_write_u64(bt_writer *w, uint64_t value) {
    bt_write_u32(w, (uint32_t)value);
    bt_write_u32(w, (uint32_t)(value >> 32));
}
static inline void bt_write_f32(bt_writer *w, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bt_write_u32(w, bits);
}
/* u8 length, then the characters. */
static inline void bt_write_text(bt_writer *w, const char *text, uint32_t most) {
    uint32_t length = 0;
    while (length < most && text[length]) length++;
    bt_write_u8(w, length);
    bt_write(w, text, length);
}

typedef struct bt_reader {
    const uint8_t *at;
    uint32_t left;
    bool underflow;
} bt_reader;

static inline const uint8_t *bt_read(bt_reader *r, uint32_t count) {
    static const uint8_t zeros[8] = {0};
    if (count > r->left) {
        r->underflow = true;
        r->left = 0;
        return zeros; /* the fields' readers ask for at most eight bytes */
    }
    const uint8_t *at = r->at;
    r->at += count;
    r->left -= count;
    return at;
}
static inline uint32_t bt_read_u8(bt_reader *r) { return bt_read(r, 1)[0]; }
static inline uint32_t bt_read_u16(bt_reader *r) {
    const uint8_t *p = bt_read(r, 2);
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t bt_read_u32(bt_reader *r) {
    const uint8_t *p = bt_read(r, 4);
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t bt_read_u64(bt_reader *r) {
    const uint8_t *p = bt_read(r, 8);
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}
static inline float bt_read_f32(bt_reader *r) {
    const uint32_t bits = bt_read_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
