/* Something larger than a frame, on its way to the wearable: begin, chunks, end. Chunks may come in any order; a lost
 * one, or a new connection, costs only what had not arrived. */
#ifndef BIOTRAIN_UPLOAD_H
#define BIOTRAIN_UPLOAD_H

#include "../protocol/wire.h"
#include "biotrain/status.h"

/* More pieces apart than this, and a chunk that would open another one is dropped: it comes again. */
enum { BT_UPLOAD_PIECES = 32 };

typedef struct bt_piece_held {
    uint32_t from, to; /* bytes from..to-1 */
} bt_piece_held;

typedef struct bt_upload {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t object, length, crc; /* what is coming, as its sender announced it; object 0: nothing */
    uint32_t pieces;
    bt_piece_held held[BT_UPLOAD_PIECES]; /* in order, neither touching nor overlapping */
} bt_upload;

/* The same thing again goes on where it stopped; another one takes its place. */
bt_status bt_upload_begin(bt_upload *upload, uint32_t object, uint32_t length, uint32_t crc);
void bt_upload_chunk(bt_upload *upload, uint32_t object, uint32_t offset, const uint8_t *bytes, uint32_t count);
/* BT_OK: the buffer holds all of it, unaltered. BT_INCOMPLETE: bt_upload_write_missing says what is not there. */
bt_status bt_upload_end(bt_upload *upload, uint32_t object, uint32_t length, uint32_t crc);
/* Bytes held from the start u32; and, `with_holes`, count u32 and from u32, to u32 of each hole. */
void bt_upload_write_missing(const bt_upload *upload, uint32_t length, bool with_holes, bt_writer *w);

#endif
