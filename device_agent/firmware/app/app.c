#include <string.h>

#include "layout.h"
#include "state.h"

enum { READS_A_POLL = 32 }; /* so that the device's own windows wait for no flood of bytes */

bt_status bt_tell(bt_app *app, bt_event event) {
    event.time_us = bt_port_time_us(app->port);
    event.l2_peak_bytes = app->l2_peak;
    if (!event.weights_version) event.weights_version = bt_serving_version(app);
    bt_event_number(&app->log, &event);
    return bt_event_log_append(&app->log, &event);
}

bt_status bt_change(bt_app *app, bt_state next, bt_event event) {
    event.time_us = bt_port_time_us(app->port);
    event.l2_peak_bytes = app->l2_peak;
    bt_event_number(&app->log, &event);
    next.told = event;
    const bt_status status = bt_store_set(&app->store, next);
    if (status == BT_OK) bt_event_log_append(&app->log, &event); /* if this is cut, the next boot does it */
    return status;
}

static bt_status count_boot(bt_app *app) {
    bt_trust_open(app);
    bt_status status = bt_store_open(&app->store, app->port, bt_has_keys(app) ? app->trust.secret : NULL);
    if (status == BT_OK) status = bt_event_log_open(&app->log, app->port);
    if (status != BT_OK) return status;
    const bt_event *told = &app->store.state.told;
    if (told->index >= app->log.next && bt_event_log_append(&app->log, told) == BT_STORAGE_FAILED)
        return BT_STORAGE_FAILED;
    bt_state next = app->store.state;
    next.boot++;
    app->log.boot = next.boot;
    app->log.seq = 0;
    return bt_store_set(&app->store, next);
}

bt_status bt_app_start(bt_app **out, bt_port *port, bt_memory *memory, const char *device_id) {
    *out = NULL;
    bt_app *app = bt_take_l2(memory, sizeof *app);
    if (!app) return BT_NO_MEMORY;
    memset(app, 0, sizeof *app);
    app->port = port;
    app->memory = memory;
    for (uint32_t i = 0; i + 1 < sizeof app->device_id && device_id[i]; i++) app->device_id[i] = device_id[i];
    app->answers = bt_take_l3(memory, sizeof *app->answers);
    app->bulk_upload.buffer = bt_take_l3(memory, BT_BULK_BYTES);
    app->bulk_upload.capacity = BT_BULK_BYTES;
    if (!app->answers || !app->bulk_upload.buffer) return BT_NO_MEMORY;
    bt_answers_clear(app->answers);
    app->mark = *memory;
    app->l2_peak = memory->l2_used;
    bt_status status = count_boot(app);
    if (status == BT_OK) status = bt_wearers_finish_erasing(app);
    if (status != BT_OK) return status;
    bt_event booted = {.kind = BT_EVENT_BOOTED};
    const bt_status model = bt_model_boot(app);
    const char *name = model == BT_OK ? "" : bt_status_name(model) + 3;
    if (model == BT_OK) name = bt_port_start_reason(port);
    for (uint32_t i = 0; i + 1 < sizeof booted.detail && name[i]; i++) booted.detail[i] = name[i];
    bt_tell(app, booted); /* a full log refuses even this, and counts it */
    app->event_cursor = app->log.acknowledged + 1;
    *out = app;
    return BT_OK;
}

static void send(bt_app *app) {
    while (app->link.queued) {
        const size_t sent = bt_port_send(app->port, app->link.queue, app->link.queued);
        if (!sent) return;
        bt_link_sent(&app->link, (uint32_t)sent);
    }
}

/* True when bytes are waiting that can be read at once. */
static bool receive(bt_app *app) {
    bt_frame frame;
    for (uint32_t reads = 0; reads < READS_A_POLL; reads++) {
        if (app->input_at == app->input_count) {
            app->input_at = 0;
            app->input_count = (uint32_t)bt_port_receive(app->port, app->input, sizeof app->input);
            if (!app->input_count) return false;
        }
        while (app->input_at < app->input_count && bt_link_room(&app->link))
            if (bt_receiver_feed(&app->link.receiver, app->input[app->input_at++], &frame)) bt_serve(app, &frame);
        send(app);
        if (!bt_link_room(&app->link)) return false; /* nothing new is taken on while answers cannot leave */
    }
    return true;
}

static void work(bt_app *app) {
    if (app->evaluation.running && !app->evaluation.done)
        bt_evaluation_slice(app);
    else if (app->fit.running)
        bt_fit_slice(app);
}

bool bt_app_poll(bt_app *app) {
    bt_port_watchdog(app->port);
    send(app);
    const bool more = receive(app);
    bt_record_due(app);
    if (!more) work(app); /* what is still coming in may be a window: no slice of work stands before it */
    bt_send_news(app);
    send(app);
    return more || app->fit.running || (app->evaluation.running && !app->evaluation.done);
}

void bt_app_link_lost(bt_app *app) {
    bt_link_reset(&app->link);
    app->input_at = app->input_count = 0;
}

uint64_t bt_app_next_due(const bt_app *app) {
    uint64_t due = app->link.open ? app->heartbeat_due : UINT64_MAX;
    if (app->recording && bt_port_source_due(app->port) < due) due = bt_port_source_due(app->port);
    return due;
}

bool bt_app_sending(const bt_app *app) { return app->link.queued != 0; }

bt_status bt_app_accept_plan(bt_app *app, const uint8_t *file, uint32_t length) {
    return bt_trust_refuse(app, BT_REFUSED_PLAN, bt_model_accept_plan(app, file, length));
}

bt_status bt_app_accept_weights(bt_app *app, const uint8_t *file, uint32_t length) {
    return bt_trust_refuse(app, BT_REFUSED_WEIGHTS, bt_model_accept_weights(app, file, length));
}

bt_status bt_app_take_keys(bt_app *app, const uint8_t *bytes, uint32_t length) {
    return bt_trust_refuse(app, BT_REFUSED_KEYS, bt_trust_take(app, bytes, length));
}

bool bt_app_has_keys(const bt_app *app) { return bt_has_keys(app); }

bool bt_app_has_weights(const bt_app *app) { return app->has_weights; }
