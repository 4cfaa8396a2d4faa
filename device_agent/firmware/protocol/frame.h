/* Frames on a byte stream: COBS, closed by a zero byte, with a CRC-32 at the end (docs/link-protocol.md).
 * A receiver finds its feet again at the next zero byte, whatever came before. */
#ifndef BIOTRAIN_FRAME_H
#define BIOTRAIN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BT_PROTOCOL = 1,
    /* Two frames of this size fit beside everything else into the 60 KB that stay resident in L2; larger
     * things (windows, plans, weights) go in chunks, between which a window can always pass. */
    BT_MAX_PAYLOAD = 2048,
    BT_FRAME_HEADER = 12, /* kind u8, opcode u8, sequence u16, session u32, id u32 */
    BT_FRAME_CRC = 4,
    BT_MAX_FRAME = BT_FRAME_HEADER + BT_MAX_PAYLOAD + BT_FRAME_CRC,
    BT_MAX_ENCODED = BT_MAX_FRAME + BT_MAX_FRAME / 254 + 2 /* COBS, and the closing zero */
};

typedef enum bt_frame_kind {
    BT_FRAME_REQUEST = 1, /* agent to wearable; answered by one response with the same id */
    BT_FRAME_RESPONSE,    /* payload: status u8, then the answer */
    BT_FRAME_ONE_WAY,     /* agent to wearable, never answered: chunks, pings */
    BT_FRAME_EVENT,       /* id: index in the event log */
    BT_FRAME_REPORT,      /* id: counts the windows recorded */
    BT_FRAME_HEARTBEAT
} bt_frame_kind;

typedef struct bt_frame {
    uint8_t kind, opcode;
    uint16_t sequence; /* counts the sender's frames of a session */
    uint32_t session, id;
    const uint8_t *payload;
    uint32_t length;
} bt_frame;

/* Bytes written to `out` (room for BT_MAX_ENCODED); 0 when the payload is too long. */
uint32_t bt_frame_encode(const bt_frame *frame, uint8_t *out);

typedef struct bt_receiver {
    uint8_t bytes[BT_MAX_FRAME];
    uint32_t length;
    uint8_t block, left; /* the COBS block that is being read, and how many of its bytes are to come */
    bool skipping;       /* until the next zero byte */
    uint32_t corrupt;    /* frames thrown away: cut, too long, or altered */
} bt_receiver;

/* Feed one byte. True when it closes a whole frame; *out points into the receiver until the next call. */
bool bt_receiver_feed(bt_receiver *receiver, uint8_t byte, bt_frame *out);

#endif
