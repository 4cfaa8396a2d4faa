/* Predicted classes of windows in the ring, with one bank of weights; a window a call. */
#include "state.h"

/* bank u32, count u32, ids u32[] */
bt_status bt_evaluation_request(bt_app *app, uint32_t request, const uint8_t *body, uint32_t length) {
    bt_evaluation *e = &app->evaluation;
    bt_reader r = {.at = body, .left = length};
    const uint32_t bank = bt_read_u32(&r), count = bt_read_u32(&r);
    if (!app->has_plan) return BT_NO_PLAN;
    if (!app->has_weights) return BT_NO_WEIGHTS;
    if (e->running) return BT_BUSY;
    if (r.underflow || count < 1 || count > BT_EVALUATE_MOST || r.left != count * 4 || bank > BT_LINK_PREVIOUS)
        return BT_BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; i++) {
        e->slots[i] = bt_ring_find(&app->ring, bt_read_u32(&r));
        if (e->slots[i] == BT_NO_SLOT) return BT_UNKNOWN_WINDOW;
    }
    if (bank == BT_LINK_CANDIDATE && !app->has_candidate) return BT_WRONG_STATE;
    if (bank == BT_LINK_PREVIOUS) {
        const bt_status status = bt_model_load_previous(app);
        if (status != BT_OK) return status;
    }
    /* no new window takes a place that is still to be looked at; a fit's own pins stay when these go */
    for (uint32_t i = 0; i < count; i++) app->ring.pinned[e->slots[i]] |= BT_PIN_EVALUATION;
    e->bank = bank == BT_LINK_SERVING ? BT_BANK_SERVING : BT_BANK_CANDIDATE;
    e->request = request;
    e->count = count;
    e->position = 0;
    e->status = BT_OK;
    e->running = true;
    e->done = false;
    return BT_OK;
}

static void finish(bt_app *app, bt_status status) {
    bt_evaluation *e = &app->evaluation;
    for (uint32_t i = 0; i < e->count; i++) app->ring.pinned[e->slots[i]] &= (uint8_t)~BT_PIN_EVALUATION;
    e->status = status;
    e->done = true;
}

void bt_evaluation_slice(bt_app *app) {
    bt_evaluation *e = &app->evaluation;
    bt_prediction prediction;
    const uint8_t *body = bt_ring_body(&app->ring, e->slots[e->position]);
    const bt_status status = bt_engine_infer(&app->engine, e->bank, bt_window_view(&app->plan, body), &prediction);
    e->predicted[e->position++] = (uint8_t)prediction.predicted;
    if (status != BT_OK || e->position == e->count) finish(app, status);
}

void bt_evaluation_abort(bt_app *app, bt_status status) {
    if (app->evaluation.running && !app->evaluation.done) finish(app, status);
}
