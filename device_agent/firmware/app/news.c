/* What the wearable says by itself: events that are not acknowledged yet, and that it is there. */
#include "state.h"

static void send_events(bt_app *app) {
    uint8_t bytes[BT_EVENT_BYTES];
    bt_event event;
    if (app->event_cursor <= app->log.acknowledged) app->event_cursor = app->log.acknowledged + 1;
    while (app->event_cursor < app->log.next && bt_link_room(&app->link)) {
        /* one that storage has damaged is told without content, or the agent would wait for it for ever */
        const bool read = bt_event_log_read(&app->log, app->event_cursor, &event) == BT_OK;
        if (read) bt_event_pack(&event, bytes);
        bt_link_send(&app->link, BT_FRAME_EVENT, 0, app->event_cursor, bytes, read ? sizeof bytes : 0);
        app->event_cursor++;
    }
}

static void send_heartbeat(bt_app *app, uint64_t now) {
    bt_writer w = {.start = app->payload, .most = sizeof app->payload};
    bt_write_u64(&w, now);
    bt_write_u32(&w, app->log.next);
    bt_write_u32(&w, bt_serving_version(app));
    bt_write_u32(&w, app->windows);
    bt_write_u32(&w, app->reports);
    bt_write_u32(&w, app->link.receiver.corrupt);
    bt_write_u8(&w, (uint32_t)app->fit.running | (uint32_t)app->has_candidate << 1 | (uint32_t)app->recording << 2);
    bt_link_send(&app->link, BT_FRAME_HEARTBEAT, 0, 0, w.start, w.length);
    app->heartbeat_due = now + BT_HEARTBEAT_US;
}

static void send_evaluation(bt_app *app) {
    bt_evaluation *e = &app->evaluation;
    bt_writer w = {.start = app->payload, .most = sizeof app->payload};
    bt_write_u8(&w, e->status);
    if (e->status == BT_OK) bt_write(&w, e->predicted, e->count);
    bt_link_send(&app->link, BT_FRAME_RESPONSE, BT_OP_END, e->request, w.start, w.length);
    e->running = false;
}

void bt_send_news(bt_app *app) {
    const uint64_t now = bt_port_time_us(app->port);
    if (!app->link.open) {
        if (app->evaluation.done) app->evaluation.running = false; /* nobody is left to tell */
        return;
    }
    if (app->evaluation.running && app->evaluation.done && bt_link_room(&app->link)) send_evaluation(app);
    if (now >= app->heartbeat_due && bt_link_room(&app->link)) send_heartbeat(app, now);
    send_events(app);
}
