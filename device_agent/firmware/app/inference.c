/* A window arrives, over the link or from the device's own source: it is kept, classified and reported. */
#include <string.h>

#include "state.h"

/* `ended`: the end of the window on the device's clock. */
static void write_report(const bt_app *app, const uint8_t *body, uint64_t ended, const bt_prediction *p, bt_writer *w) {
    const bt_quality quality = bt_window_quality(&app->plan, body);
    bt_write_u32(w, bt_window_id(body));
    bt_write_u64(w, ended);
    bt_write_u32(w, bt_serving_version(app));
    bt_write_u16(w, p->predicted);
    bt_write_u16(w, p->classes);
    bt_write_u16(w, p->feature_count);
    bt_write_u32(w, (uint32_t)bt_window_label(body));
    bt_write_f32(w, p->margin);
    bt_write_f32(w, p->entropy);
    bt_write_u64(w, quality.flat);
    bt_write_u64(w, quality.saturated);
    for (uint32_t c = 0; c < p->classes; c++) bt_write_f32(w, p->probabilities[c]);
    for (uint32_t f = 0; f < p->feature_count; f++) bt_write_f32(w, p->features[f]);
}

static bt_status infer_slot(bt_app *app, uint32_t slot, uint32_t length, uint64_t ended, bt_writer *report) {
    const uint8_t *body = bt_ring_body(&app->ring, slot);
    bt_prediction prediction;
    bt_status status = bt_window_check(&app->plan, body, length);
    if (status != BT_OK) return status;
    status = bt_engine_infer(&app->engine, BT_BANK_SERVING, bt_window_view(&app->plan, body), &prediction);
    if (status != BT_OK) return status;
    bt_ring_keep(&app->ring, slot);
    app->windows++;
    write_report(app, body, ended, &prediction, report);
    return BT_OK;
}

bt_status bt_infer_window(bt_app *app, const uint8_t *body, uint32_t length, bt_writer *report) {
    if (!app->has_plan) return BT_NO_PLAN;
    if (!app->has_weights) return BT_NO_WEIGHTS;
    if (length != bt_window_bytes(&app->plan)) return BT_BAD_ARGUMENT;
    const uint32_t slot = bt_ring_claim(&app->ring);
    if (slot == BT_NO_SLOT) return BT_BUSY;
    memcpy(bt_ring_body(&app->ring, slot), body, length);
    return infer_slot(app, slot, length, bt_port_time_us(app->port), report);
}

void bt_record_due(bt_app *app) {
    if (!app->recording || !app->has_weights) return;
    const uint64_t due = bt_port_source_due(app->port);
    if (due == UINT64_MAX) app->recording = false; /* nothing more will come; the heartbeat tells */
    if (bt_port_time_us(app->port) < due) return;
    const uint32_t slot = bt_ring_claim(&app->ring);
    if (slot == BT_NO_SLOT) return;
    uint8_t *body = bt_ring_body(&app->ring, slot);
    const uint32_t length = bt_port_source_take(app->port, body, app->ring.stride);
    if (!length) return;
    app->recorded_next = bt_window_id(body) + 1;
    bt_window_set_id(body, app->recorded_first + bt_window_id(body));
    bt_writer w = {.start = app->payload, .most = sizeof app->payload};
    app->reports++;
    const bool told = infer_slot(app, slot, length, bt_window_time(body), &w) == BT_OK && app->link.open &&
                      bt_link_send(&app->link, BT_FRAME_REPORT, 0, app->reports, w.start, w.length);
    if (!told) app->reports_lost++;
}
