#include "link.h"

#include <string.h>

void bt_link_reset(bt_link *link) {
    link->receiver.length = 0;
    link->receiver.block = link->receiver.left = 0;
    link->receiver.skipping = false;
    link->queued = 0;
    link->open = false;
}

static bool newer(const bt_link *link, const bt_frame *frame) {
    const uint16_t ahead = (uint16_t)(frame->sequence - link->seen);
    return ahead != 0 && ahead < 0x8000;
}

bool bt_link_open(bt_link *link, const bt_frame *hello) {
    if (link->open && hello->session == link->session && !newer(link, hello)) {
        link->stale++;
        return false;
    }
    if (!link->open || hello->session != link->session) link->sent = 0;
    link->open = true;
    link->session = hello->session;
    link->seen = hello->sequence;
    return true;
}

bool bt_link_accept(bt_link *link, const bt_frame *frame) {
    if (!link->open || frame->session != link->session || !newer(link, frame)) {
        link->stale++;
        return false;
    }
    link->lost += (uint16_t)(frame->sequence - link->seen - 1);
    link->seen = frame->sequence;
    return true;
}

bool bt_link_room(const bt_link *link) { return sizeof link->queue - link->queued >= BT_MAX_ENCODED; }

bool bt_link_send(bt_link *link, bt_frame_kind kind, uint32_t opcode, uint32_t id, const uint8_t *payload,
                  uint32_t length) {
    if (!bt_link_room(link)) return false;
    const bt_frame frame = {
        .kind = (uint8_t)kind,
        .opcode = (uint8_t)opcode,
        .sequence = ++link->sent,
        .session = link->session,
        .id = id,
        .payload = payload,
        .length = length,
    };
    const uint32_t bytes = bt_frame_encode(&frame, link->queue + link->queued);
    link->queued += bytes;
    return bytes != 0;
}

void bt_link_sent(bt_link *link, uint32_t count) {
    link->queued -= count;
    memmove(link->queue, link->queue + count, link->queued);
}
