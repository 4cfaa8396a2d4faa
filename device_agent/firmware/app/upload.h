/* Something larger than a frame, on its way to the wearable: begin, chunks, end. A lost chunk or a new connection
 * costs only what had not arrived. */
#ifndef BIOTRAIN_UPLOAD_H
#define BIOTRAIN_UPLOAD_H

#include <stdint.h>

#include "biotrain/status.h"

typedef struct bt_upload {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t object, length, crc; /* what is coming, as its sender announced it; object 0: nothing */
    uint32_t held;
} bt_upload;

/* The same thing again goes on where it stopped; another one takes its place. */
bt_status bt_upload_begin(bt_upload *upload, uint32_t object, uint32_t length, uint32_t crc);
void bt_upload_chunk(bt_upload *upload, uint32_t object, uint32_t offset, const uint8_t *bytes, uint32_t count);
/* BT_OK: the buffer holds all of it, unaltered. BT_INCOMPLETE: `held` says how far it came. */
bt_status bt_upload_end(bt_upload *upload, uint32_t object, uint32_t length, uint32_t crc);

#endif
