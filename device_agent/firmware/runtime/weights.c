/* A weights file: 128-byte header, then the values.
 * 0 "BTWT", 4 u16 major 1, 6 u16 0, 8 value bytes, 12 CRC-32 over [16, end), 16 plan hash, 48 parent hash,
 * 80 version, 84 origin, 88 device id (24), 112 the device's code (16). */
#include <string.h>

#include "biotrain/plan.h"
#include "bytes.h"

bt_status bt_weights_open(bt_weights_header *header, const bt_plan *plan, const uint8_t *file, uint32_t length) {
    if (length < BT_WEIGHTS_HEADER_BYTES || memcmp(file, "BTWT", 4) != 0) return BT_BAD_MAGIC;
    if (bt_u16(file + 4) != 1) return BT_BAD_VERSION;
    memset(header, 0, sizeof *header);
    header->value_bytes = bt_u32(file + 8);
    if (length - BT_WEIGHTS_HEADER_BYTES != header->value_bytes || length % 4) return BT_BAD_LENGTH;
    if (bt_crc32(0, file + 16, length - 16) != bt_u32(file + 12)) return BT_BAD_CRC;
    memcpy(header->plan_hash, file + 16, BT_HASH_BYTES);
    memcpy(header->parent_hash, file + 48, BT_HASH_BYTES);
    header->version = bt_u32(file + 80);
    header->origin = bt_u32(file + 84);
    memcpy(header->device_id, file + 88, sizeof header->device_id);
    header->device_id[sizeof header->device_id - 1] = 0;
    memcpy(header->code, file + 112, sizeof header->code);
    if (memcmp(header->plan_hash, plan->hash, BT_HASH_BYTES) != 0) return BT_WRONG_PLAN;
    if (header->value_bytes != plan->weights_bytes) return BT_BAD_LENGTH;
    for (uint32_t at = BT_WEIGHTS_HEADER_BYTES; at < length; at += 4)
        if ((bt_u32(file + at) & 0x7f800000u) == 0x7f800000u) return BT_NOT_FINITE;
    return BT_OK;
}

void bt_weights_seal(uint8_t out[BT_WEIGHTS_HEADER_BYTES], const bt_weights_header *header, const uint8_t *values) {
    memset(out, 0, BT_WEIGHTS_HEADER_BYTES);
    memcpy(out, "BTWT\1", 5);
    bt_put_u32(out + 8, header->value_bytes);
    memcpy(out + 16, header->plan_hash, BT_HASH_BYTES);
    memcpy(out + 48, header->parent_hash, BT_HASH_BYTES);
    bt_put_u32(out + 80, header->version);
    bt_put_u32(out + 84, header->origin);
    memcpy(out + 88, header->device_id, sizeof header->device_id);
    memcpy(out + 112, header->code, sizeof header->code);
    const uint32_t crc = bt_crc32(0, out + 16, BT_WEIGHTS_HEADER_BYTES - 16);
    bt_put_u32(out + 12, bt_crc32(crc, values, header->value_bytes));
}
