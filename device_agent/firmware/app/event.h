/* The wearable's own log of what it did: kept in storage until the agent has acknowledged it, never overwritten. */
#ifndef BIOTRAIN_EVENT_H
#define BIOTRAIN_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "biotrain/port.h"
#include "biotrain/status.h"

typedef enum bt_event_kind {
    BT_EVENT_BOOTED = 1,
    BT_EVENT_PLAN_ACCEPTED,
    BT_EVENT_WEIGHTS_WRITTEN,
    BT_EVENT_FIT_STARTED,
    BT_EVENT_FIT_PROGRESS,
    BT_EVENT_FIT_DONE,
    BT_EVENT_FIT_FAILED,
    BT_EVENT_COMMITTED,
    BT_EVENT_DISCARDED,
    BT_EVENT_ROLLED_BACK,
    BT_EVENT_WEARER_CHOSEN,
    BT_EVENT_WEARER_ERASED,
    BT_EVENT_FACTORY_RESET,
    BT_EVENT_KEYS_TRUSTED, /* these two: only from a device that has been given keys */
    BT_EVENT_REFUSED       /* once for each reason since boot; the counters know how often */
} bt_event_kind;

enum {
    BT_EVENT_DETAIL_BYTES = 32,
    BT_EVENT_BYTES = 84, /* on the link and in storage, without the CRC */
    BT_EVENT_SLOT_BYTES = 96,
    BT_EVENT_SLOTS = 1024,
    /* Left free when a fit begins, for what must still be told after it. */
    BT_EVENT_RESERVE_FIT = 64,
    /* Left free by commands that tell something, for boots. */
    BT_EVENT_RESERVE_COMMAND = 32
};

typedef struct bt_event {
    uint32_t index;     /* counts all events that the device ever told, from 1: shows a hole on the link */
    uint32_t boot, seq; /* seq counts from 1 within a boot */
    uint32_t kind;
    uint64_t time_us;
    uint32_t fit_id, epoch, step, steps;
    float loss;
    uint32_t weights_version, l2_peak_bytes;
    char detail[BT_EVENT_DETAIL_BYTES];
} bt_event;

typedef struct bt_event_log {
    bt_port *port;
    uint32_t next;         /* index of the next event */
    uint32_t acknowledged; /* all up to this index may be forgotten */
    uint32_t marks;        /* counts writes of the acknowledgement mark */
    uint32_t boot, seq;
    uint32_t refused;      /* events that found the log full */
} bt_event_log;

void bt_event_pack(const bt_event *event, uint8_t out[BT_EVENT_BYTES]);
void bt_event_unpack(bt_event *event, const uint8_t bytes[BT_EVENT_BYTES]);

/* Find the log's ends in storage. */
bt_status bt_event_log_open(bt_event_log *log, bt_port *port);
/* Number the event as the next one of this boot. It is not written yet. */
void bt_event_number(bt_event_log *log, bt_event *event);
/* Make a numbered event durable. */
bt_status bt_event_log_append(bt_event_log *log, const bt_event *event);
bt_status bt_event_log_read(const bt_event_log *log, uint32_t index, bt_event *event);
uint32_t bt_event_log_free(const bt_event_log *log);
/* Everything up to event `seq` of `boot` may be forgotten. */
bt_status bt_event_log_acknowledge(bt_event_log *log, uint32_t boot, uint32_t seq);

#endif
