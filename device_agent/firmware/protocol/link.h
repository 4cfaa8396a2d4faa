/* One end of the link: a session, sequence numbers both ways, and bytes waiting to be sent. Pure: no I/O, no clock. */
#ifndef BIOTRAIN_LINK_H
#define BIOTRAIN_LINK_H

#include "frame.h"

/* A response and one frame of news. */
enum { BT_SEND_QUEUE = 2 * BT_MAX_ENCODED };

typedef struct bt_link {
    bt_receiver receiver;
    uint8_t queue[BT_SEND_QUEUE];
    uint32_t queued;
    bool open;
    uint32_t session;
    uint16_t seen, sent;
    uint32_t stale; /* whole frames that were repeated, overtaken, or of another session: not executed */
    uint32_t lost;  /* holes in the agent's sequence numbers */
} bt_link;

/* Forget the session and what was to be sent; counters stay. */
void bt_link_reset(bt_link *link);
/* Begin the session of a hello, unless that hello is a repeated frame of this very session. */
bool bt_link_open(bt_link *link, const bt_frame *hello);
/* Is this frame newer than all before it in this session? */
bool bt_link_accept(bt_link *link, const bt_frame *frame);
/* Is there room for the largest frame? */
bool bt_link_room(const bt_link *link);
/* Queue a frame; the caller has seen that there is room. False when it does not fit. */
bool bt_link_send(bt_link *link, bt_frame_kind kind, uint32_t opcode, uint32_t id, const uint8_t *payload,
                  uint32_t length);
/* Drop the first `count` queued bytes: they have gone out. */
void bt_link_sent(bt_link *link, uint32_t count);

#endif
