/* A fine-tuning run over windows of the ring. It goes on by one micro-batch a call, so that whatever has come over
 * the link, and every new window, is served first. */
#include <string.h>

#include "state.h"

static bt_event at_present(const bt_app *app, bt_event_kind kind) {
    const bt_fit *fit = &app->fit;
    return (bt_event){
        .kind = kind,
        .fit_id = fit->id,
        .epoch = fit->epoch,
        .step = fit->step,
        .steps = fit->steps,
        .loss = fit->position ? fit->loss_sum / (float)fit->position : 0.0f,
    };
}

static void unpin(bt_app *app) {
    for (uint32_t i = 0; i < app->fit.count; i++) app->ring.pinned[app->fit.slots[i]] &= (uint8_t)~BT_PIN_FIT;
    app->fit.running = false;
}

static void fail(bt_app *app, bt_status status) {
    bt_event event = at_present(app, BT_EVENT_FIT_FAILED);
    const char *name = bt_status_name(status) + 3; /* without BT_ */
    for (uint32_t i = 0; i + 1 < sizeof event.detail && name[i]; i++) event.detail[i] = name[i];
    if (event.loss - event.loss != 0.0f) event.loss = 0.0f; /* the log holds finite numbers */
    unpin(app);
    bt_tell(app, event);
}

/* fit u32, epochs u32, batch u32, cosine u32, seed u64, rate f32, momentum f32, decay f32, count u32, ids u32[] */
static bt_status read_request(bt_fit *fit, bt_reader *r) {
    fit->id = bt_read_u32(r);
    fit->epochs = bt_read_u32(r);
    fit->batch = bt_read_u32(r);
    fit->cosine = bt_read_u32(r) != 0;
    fit->random.state = bt_read_u64(r);
    fit->optimizer.learning_rate = bt_read_f32(r);
    fit->optimizer.momentum = bt_read_f32(r);
    fit->optimizer.weight_decay = bt_read_f32(r);
    fit->count = bt_read_u32(r);
    const bt_optimizer o = fit->optimizer;
    /* written so that NaN fails, too */
    const bool possible = fit->epochs >= 1 && fit->epochs <= 900 && fit->batch >= 1 && fit->batch <= 1024 &&
                          fit->count >= 1 && fit->count < BT_RING_MOST && o.learning_rate > 0.0f &&
                          o.learning_rate < 1e3f && o.momentum >= 0.0f && o.momentum < 1.0f &&
                          o.weight_decay >= 0.0f && o.weight_decay < 1e3f;
    return possible && !r->underflow && r->left == fit->count * 4 ? BT_OK : BT_BAD_ARGUMENT;
}

bt_status bt_fit_request(bt_app *app, const uint8_t *body, uint32_t length) {
    bt_reader r = {.at = body, .left = length};
    bt_fit fit = {.slots = app->fit.slots, .order = app->fit.order};
    if (!app->has_plan) return BT_NO_PLAN;
    if (!app->has_weights) return BT_NO_WEIGHTS;
    if (app->fit.running) return BT_BUSY;
    bt_status status = read_request(&fit, &r);
    if (status != BT_OK) return status;
    if (fit.count >= app->ring.capacity) return BT_BAD_ARGUMENT;
    if (app->evaluation.running && app->evaluation.bank == BT_BANK_CANDIDATE) return BT_BUSY;
    if (bt_event_log_free(&app->log) < fit.epochs + BT_EVENT_RESERVE_FIT) return BT_LOG_FULL;
    for (uint32_t i = 0; i < fit.count; i++) {
        fit.slots[i] = bt_ring_find(&app->ring, bt_read_u32(&r));
        if (fit.slots[i] == BT_NO_SLOT) return BT_UNKNOWN_WINDOW;
        if (bt_window_label(bt_ring_body(&app->ring, fit.slots[i])) < 0) return BT_BAD_ARGUMENT;
    }
    if (app->has_candidate) status = bt_model_discard(app);
    if (status != BT_OK) return status;
    fit.steps = fit.epochs * ((fit.count + fit.batch - 1) / fit.batch);
    app->engine.dropout_seed = (uint32_t)(fit.random.state ^ (fit.random.state >> 32));
    status = bt_fit_begin(&app->engine);
    if (status != BT_OK) return status;
    fit.running = true;
    app->fit = fit;
    for (uint32_t i = 0; i < fit.count; i++) app->ring.pinned[fit.slots[i]] |= BT_PIN_FIT;
    status = bt_tell(app, at_present(app, BT_EVENT_FIT_STARTED));
    if (status != BT_OK) unpin(app); /* nothing runs that was not told of */
    return status;
}

bt_status bt_fit_stop(bt_app *app) {
    if (!app->fit.running) return BT_WRONG_STATE;
    unpin(app);
    return bt_tell(app, at_present(app, BT_EVENT_DISCARDED));
}

static void end_epoch(bt_app *app) {
    bt_fit *fit = &app->fit;
    fit->epoch++;
    bt_event event = at_present(app, BT_EVENT_FIT_PROGRESS);
    bt_status status = bt_tell(app, event);
    if (status == BT_OK && fit->epoch == fit->epochs) {
        unpin(app);
        app->has_candidate = true;
        event.kind = BT_EVENT_FIT_DONE;
        status = bt_tell(app, event);
    }
    if (status != BT_OK) {
        app->has_candidate = false;
        fail(app, status);
    }
    fit->position = 0;
    fit->loss_sum = 0.0f;
}

void bt_fit_slice(bt_app *app) {
    bt_fit *fit = &app->fit;
    float loss = 0.0f;
    if (fit->position == 0) bt_shuffle(&fit->random, fit->order, fit->count);
    const uint8_t *body = bt_ring_body(&app->ring, fit->slots[fit->order[fit->position]]);
    bt_status status = bt_fit_sample(&app->engine, bt_window_view(&app->plan, body),
                                     (uint32_t)bt_window_label(body), &loss);
    fit->position++;
    fit->loss_sum += loss;
    const bool last = fit->position == fit->count;
    if (status == BT_OK && (last || fit->position % fit->batch == 0)) {
        bt_optimizer optimizer = fit->optimizer;
        if (fit->cosine) optimizer.learning_rate = bt_cosine_rate(optimizer.learning_rate, fit->step, fit->steps);
        status = bt_fit_step(&app->engine, optimizer);
        fit->step++;
        app->fit_steps++;
    }
    if (status != BT_OK)
        fail(app, status);
    else if (last)
        end_epoch(app);
}
