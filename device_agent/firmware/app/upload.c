#include "upload.h"

#include <stdbool.h>
#include <string.h>

#include "biotrain/plan.h"

static bool same(const bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    return u->object == object && u->length == length && u->crc == crc;
}

bt_status bt_upload_begin(bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    if (length > u->capacity) return BT_NO_MEMORY;
    if (same(u, object, length, crc)) return BT_OK;
    u->object = object;
    u->length = length;
    u->crc = crc;
    u->held = 0;
    return BT_OK;
}

void bt_upload_chunk(bt_upload *u, uint32_t object, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    if (u->object != object || offset > u->held || count > u->length || offset > u->length - count) return;
    if (offset + count <= u->held) return;
    memcpy(u->buffer + offset, bytes, count);
    u->held = offset + count;
}

bt_status bt_upload_end(bt_upload *u, uint32_t object, uint32_t length, uint32_t crc) {
    if (!same(u, object, length, crc)) {
        u->object = u->held = 0;
        return BT_INCOMPLETE;
    }
    if (u->held < length) return BT_INCOMPLETE;
    const bool whole = bt_crc32(0, u->buffer, length) == crc;
    u->object = u->held = 0;
    return whole ? BT_OK : BT_BAD_CRC;
}
