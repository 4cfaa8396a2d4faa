#include "upload.h"

#include <string.h>

#include "biotrain/plan.h"

static bool same(const bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    return u->object == object && u->length == length && u->crc == crc;
}

static void forget(bt_upload *u) { u->object = u->pieces = 0; }

bt_status bt_upload_begin(bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    if (length > u->capacity) return BT_NO_MEMORY;
    if (same(u, object, length, crc)) return BT_OK;
    u->object = object;
    u->length = length;
    u->crc = crc;
    u->pieces = 0;
    return BT_OK;
}

/* Adds from..to to the pieces and joins what it touches; false when there is no room for one more. */
static bool hold(bt_upload *u, uint32_t from, uint32_t to) {
    uint32_t first = 0;
    while (first < u->pieces && u->held[first].to < from) first++;
    uint32_t behind = first; /* pieces first..behind-1 touch the new one */
    while (behind < u->pieces && u->held[behind].from <= to) {
        if (u->held[behind].from < from) from = u->held[behind].from;
        if (u->held[behind].to > to) to = u->held[behind].to;
        behind++;
    }
    if (first == behind && u->pieces == BT_UPLOAD_PIECES) return false;
    memmove(&u->held[first + 1], &u->held[behind], (u->pieces - behind) * sizeof *u->held);
    u->held[first] = (bt_piece_held){from, to};
    u->pieces += 1 + first - behind;
    return true;
}

void bt_upload_chunk(bt_upload *u, uint32_t object, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    if (u->object != object || !count || count > u->length || offset > u->length - count) return;
    if (hold(u, offset, offset + count)) memcpy(u->buffer + offset, bytes, count);
}

static bool is_whole(const bt_upload *u) {
    return !u->length || (u->pieces == 1 && u->held[0].from == 0 && u->held[0].to == u->length);
}

bt_status bt_upload_end(bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    if (!same(u, object, length, crc)) {
        forget(u);
        return BT_INCOMPLETE;
    }
    if (!is_whole(u)) return BT_INCOMPLETE;
    const bool whole = bt_crc32(0, u->buffer, length) == crc;
    forget(u);
    return whole ? BT_OK : BT_BAD_CRC;
}

/* Hole `index` lies in front of piece `index`; the last one behind all of them. False when it is empty. */
static bool hole(const bt_upload *u, uint32_t index, uint32_t length, bt_piece_held *out) {
    out->from = index ? u->held[index - 1].to : 0;
    out->to = index < u->pieces ? u->held[index].from : length;
    return out->from < out->to;
}

void bt_upload_write_missing(const bt_upload *u, uint32_t length, bool with_holes, bt_writer *w) {
    uint32_t count = 0;
    bt_piece_held h;
    bt_write_u32(w, u->pieces && u->held[0].from == 0 ? u->held[0].to : 0);
    if (!with_holes) return;
    for (uint32_t i = 0; i <= u->pieces; i++) count += hole(u, i, length, &h);
    bt_write_u32(w, count);
    for (uint32_t i = 0; i <= u->pieces; i++)
        if (hole(u, i, length, &h)) {
            bt_write_u32(w, h.from);
            bt_write_u32(w, h.to);
        }
}
