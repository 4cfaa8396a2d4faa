#include "event.h"

#include <string.h>

#include "../protocol/wire.h"
#include "biotrain/plan.h"
#include "layout.h"

enum { MARK_BYTES = 12 }; /* counter, acknowledged index, CRC */

_Static_assert(BT_AT_EVENTS + BT_EVENT_SLOTS * BT_EVENT_SLOT_BYTES <= BT_AT_TRUST, "events run into the keys");

void bt_event_pack(const bt_event *e, uint8_t out[BT_EVENT_BYTES]) {
    bt_writer w = {.start = out, .most = BT_EVENT_BYTES};
    bt_write_u32(&w, e->index);
    bt_write_u32(&w, e->boot);
    bt_write_u32(&w, e->seq);
    bt_write_u32(&w, e->kind);
    bt_write_u64(&w, e->time_us);
    bt_write_u32(&w, e->fit_id);
    bt_write_u32(&w, e->epoch);
    bt_write_u32(&w, e->step);
    bt_write_u32(&w, e->steps);
    bt_write_f32(&w, e->loss);
    bt_write_u32(&w, e->weights_version);
    bt_write_u32(&w, e->l2_peak_bytes);
    bt_write(&w, e->detail, sizeof e->detail);
}

void bt_event_unpack(bt_event *e, const uint8_t bytes[BT_EVENT_BYTES]) {
    bt_reader r = {.at = bytes, .left = BT_EVENT_BYTES};
    e->index = bt_read_u32(&r);
    e->boot = bt_read_u32(&r);
    e->seq = bt_read_u32(&r);
    e->kind = bt_read_u32(&r);
    e->time_us = bt_read_u64(&r);
    e->fit_id = bt_read_u32(&r);
    e->epoch = bt_read_u32(&r);
    e->step = bt_read_u32(&r);
    e->steps = bt_read_u32(&r);
    e->loss = bt_read_f32(&r);
    e->weights_version = bt_read_u32(&r);
    e->l2_peak_bytes = bt_read_u32(&r);
    memcpy(e->detail, r.at, sizeof e->detail);
    e->detail[sizeof e->detail - 1] = 0;
}

static uint32_t slot_offset(uint32_t index) {
    return BT_AT_EVENTS + index % BT_EVENT_SLOTS * BT_EVENT_SLOT_BYTES;
}

/* True when the slot holds a whole event. */
static bool read_slot(bt_port *port, uint32_t slot, bt_event *event) {
    uint8_t bytes[BT_EVENT_SLOT_BYTES];
    if (bt_port_storage_read(port, slot_offset(slot), bytes, sizeof bytes)) return false;
    bt_reader r = {.at = bytes + BT_EVENT_BYTES, .left = 4};
    if (bt_read_u32(&r) != bt_crc32(0, bytes, BT_EVENT_BYTES)) return false;
    bt_event_unpack(event, bytes);
    return event->index != 0 && event->index % BT_EVENT_SLOTS == slot;
}

static void read_mark(bt_event_log *log, uint32_t which) {
    uint8_t bytes[MARK_BYTES];
    if (bt_port_storage_read(log->port, BT_AT_MARKS + which * BT_STORAGE_SECTOR, bytes, sizeof bytes)) return;
    bt_reader r = {.at = bytes, .left = sizeof bytes};
    const uint32_t counter = bt_read_u32(&r), index = bt_read_u32(&r);
    if (bt_read_u32(&r) != bt_crc32(0, bytes, 8) || counter < log->marks) return;
    log->marks = counter;
    log->acknowledged = index;
}

bt_status bt_event_log_open(bt_event_log *log, bt_port *port) {
    bt_event event;
    memset(log, 0, sizeof *log);
    log->port = port;
    log->next = 1;
    read_mark(log, 0);
    read_mark(log, 1);
    for (uint32_t slot = 0; slot < BT_EVENT_SLOTS; slot++)
        if (read_slot(port, slot, &event) && event.index >= log->next) log->next = event.index + 1;
    if (log->acknowledged >= log->next) log->next = log->acknowledged + 1;
    /* the power may have gone between storage and the port's own log: a port passes over what it has logged */
    if (bt_event_log_read(log, log->next - 1, &event) == BT_OK) bt_port_event(port, &event);
    return BT_OK;
}

void bt_event_number(bt_event_log *log, bt_event *event) {
    event->index = log->next;
    event->boot = log->boot;
    event->seq = log->seq + 1;
}

bt_status bt_event_log_append(bt_event_log *log, const bt_event *event) {
    uint8_t bytes[BT_EVENT_SLOT_BYTES] = {0};
    if (!bt_event_log_free(log)) {
        log->refused++;
        return BT_LOG_FULL;
    }
    bt_event_pack(event, bytes);
    bt_writer w = {.start = bytes + BT_EVENT_BYTES, .most = 4};
    bt_write_u32(&w, bt_crc32(0, bytes, BT_EVENT_BYTES));
    if (bt_port_storage_write(log->port, slot_offset(event->index), bytes, sizeof bytes)) return BT_STORAGE_FAILED;
    log->next = event->index + 1;
    if (event->boot == log->boot) log->seq = event->seq;
    bt_port_event(log->port, event);
    return BT_OK;
}

bt_status bt_event_log_read(const bt_event_log *log, uint32_t index, bt_event *event) {
    if (index >= log->next || log->next - index > BT_EVENT_SLOTS) return BT_BAD_ARGUMENT;
    return read_slot(log->port, index % BT_EVENT_SLOTS, event) && event->index == index ? BT_OK : BT_STORAGE_FAILED;
}

uint32_t bt_event_log_free(const bt_event_log *log) {
    const uint32_t held = log->next - 1 - log->acknowledged;
    return held < BT_EVENT_SLOTS ? BT_EVENT_SLOTS - held : 0;
}

bt_status bt_event_log_acknowledge(bt_event_log *log, uint32_t boot, uint32_t seq) {
    uint32_t upto = log->acknowledged;
    bt_event event;
    while (upto + 1 < log->next) {
        /* an event that cannot be read any more cannot be told either: it does not hold up the rest */
        if (bt_event_log_read(log, upto + 1, &event) == BT_OK &&
            (event.boot > boot || (event.boot == boot && event.seq > seq)))
            break;
        upto++;
    }
    if (upto == log->acknowledged) return BT_OK;
    uint8_t bytes[MARK_BYTES];
    bt_writer w = {.start = bytes, .most = sizeof bytes};
    bt_write_u32(&w, log->marks + 1);
    bt_write_u32(&w, upto);
    bt_write_u32(&w, bt_crc32(0, bytes, 8));
    if (bt_port_storage_write(log->port, BT_AT_MARKS + (log->marks + 1) % 2 * BT_STORAGE_SECTOR, bytes, sizeof bytes))
        return BT_STORAGE_FAILED;
    log->marks++;
    log->acknowledged = upto;
    return BT_OK;
}
