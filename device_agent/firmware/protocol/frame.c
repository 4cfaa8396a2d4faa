#include "frame.h"

#include "biotrain/plan.h"
#include "wire.h"

typedef struct cobs {
    uint8_t *out;
    uint32_t length, code_at;
} cobs;

static void cobs_byte(cobs *c, uint8_t byte) {
    if (byte) {
        c->out[c->length++] = byte;
        if (c->length - c->code_at < 255) return;
    }
    c->out[c->code_at] = (uint8_t)(c->length - c->code_at);
    c->code_at = c->length++;
}

static void cobs_bytes(cobs *c, const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) cobs_byte(c, bytes[i]);
}

uint32_t bt_frame_encode(const bt_frame *frame, uint8_t *out) {
    uint8_t header[BT_FRAME_HEADER], trailer[BT_FRAME_CRC];
    if (frame->length > BT_MAX_PAYLOAD) return 0;
    bt_writer w = {.start = header, .most = sizeof header};
    bt_write_u8(&w, frame->kind);
    bt_write_u8(&w, frame->opcode);
    bt_write_u16(&w, frame->sequence);
    bt_write_u32(&w, frame->session);
    bt_write_u32(&w, frame->id);
    const uint32_t crc = bt_crc32(bt_crc32(0, header, sizeof header), frame->payload, frame->length);
    w = (bt_writer){.start = trailer, .most = sizeof trailer};
    bt_write_u32(&w, crc);
    cobs c = {.out = out, .length = 1};
    cobs_bytes(&c, header, sizeof header);
    cobs_bytes(&c, frame->payload, frame->length);
    cobs_bytes(&c, trailer, sizeof trailer);
    out[c.code_at] = (uint8_t)(c.length - c.code_at);
    out[c.length++] = 0;
    return c.length;
}

static bool open_frame(const bt_receiver *r, bt_frame *out) {
    if (r->length < BT_FRAME_HEADER + BT_FRAME_CRC) return false;
    const uint32_t body = r->length - BT_FRAME_CRC;
    bt_reader reader = {.at = r->bytes + body, .left = BT_FRAME_CRC};
    if (bt_crc32(0, r->bytes, body) != bt_read_u32(&reader)) return false;
    reader = (bt_reader){.at = r->bytes, .left = body};
    out->kind = (uint8_t)bt_read_u8(&reader);
    out->opcode = (uint8_t)bt_read_u8(&reader);
    out->sequence = (uint16_t)bt_read_u16(&reader);
    out->session = bt_read_u32(&reader);
    out->id = bt_read_u32(&reader);
    out->payload = reader.at;
    out->length = reader.left;
    return true;
}

static bool close_frame(bt_receiver *r, bt_frame *out) {
    const bool empty = !r->skipping && r->block == 0; /* zero bytes between frames mean nothing */
    const bool whole = !empty && !r->skipping && r->left == 0 && open_frame(r, out);
    if (!whole && !empty) r->corrupt++;
    r->length = 0;
    r->block = r->left = 0;
    r->skipping = false;
    return whole;
}

static void keep(bt_receiver *r, uint8_t byte) {
    if (r->length == sizeof r->bytes)
        r->skipping = true;
    else
        r->bytes[r->length++] = byte;
}

bool bt_receiver_feed(bt_receiver *r, uint8_t byte, bt_frame *out) {
    if (byte == 0) return close_frame(r, out);
    if (r->skipping) return false;
    if (r->left) {
        r->left--;
        keep(r, byte);
        return false;
    }
    /* a new block; the one before stood for a zero unless it was full or the first */
    if (r->block && r->block != 255) keep(r, 0);
    r->block = byte;
    r->left = (uint8_t)(byte - 1);
    return false;
}
