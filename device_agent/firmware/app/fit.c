/* A fine-tuning run over windows of the ring. It goes on by one run of the training program a call, over one window or
 * over the batch that an exact norm needs, so that whatever has come over the link, and every new window, comes first. */
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

/* `weights_offset`: where a number stopped being finite; BT_NO_FAULT when that is not known or not the reason. */
static void fail(bt_app *app, bt_status status, uint32_t weights_offset) {
    bt_event event = at_present(app, BT_EVENT_FIT_FAILED);
    const char *name = bt_status_name(status) + 3; /* without BT_ */
    for (uint32_t i = 0; i + 1 < sizeof event.detail && name[i]; i++) event.detail[i] = name[i];
    if (weights_offset != BT_NO_FAULT) bt_fault_place(&app->plan, weights_offset, event.detail);
    if (event.loss - event.loss != 0.0f) event.loss = 0.0f; /* the log holds finite numbers */
    unpin(app);
    bt_tell(app, event);
}

/* Everything has been checked (fit_request.c): pins the windows and tells of the beginning. */
bt_status bt_fit_start(bt_app *app, bt_fit fit) {
    app->engine.dropout_seed = (uint32_t)(fit.random.state ^ (fit.random.state >> 32));
    bt_status status = bt_fit_begin(&app->engine);
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
    /* a step can leave a value behind that no window has met: it must not become a candidate */
    const uint32_t sick = bt_fit_sick_weight(&app->engine);
    if (sick != UINT32_MAX) {
        fail(app, BT_NOT_FINITE, sick);
        return;
    }
    bt_status status = bt_tell(app, event);
    if (status == BT_OK && fit->epoch == fit->epochs) {
        unpin(app);
        app->has_candidate = true;
        event.kind = BT_EVENT_FIT_DONE;
        status = bt_tell(app, event);
    }
    if (status != BT_OK) {
        app->has_candidate = false;
        fail(app, status, BT_NO_FAULT);
    }
    fit->position = 0;
    fit->loss_sum = 0.0f;
}

/* The next windows in this epoch's order: as many as the plan trains on at once. */
static void gather(bt_app *app) {
    bt_fit *fit = &app->fit;
    for (uint32_t b = 0; b < app->plan.batch; b++) {
        const uint8_t *body = bt_ring_body(&app->ring, fit->slots[fit->order[fit->position + b]]);
        fit->windows[b] = bt_window_view(&app->plan, body);
        fit->labels[b] = (uint32_t)bt_window_label(body);
    }
}

static bt_status train(bt_app *app) {
    bt_fit *fit = &app->fit;
    float loss = 0.0f;
    if (fit->position == 0) bt_shuffle(&fit->random, fit->order, fit->count);
    gather(app);
    const bt_status status = app->plan.batch == 1
                                 ? bt_fit_sample(&app->engine, fit->windows[0], fit->labels[0], &loss)
                                 : bt_fit_batch(&app->engine, fit->windows, fit->labels, &loss);
    app->trained += app->plan.batch;
    fit->position += app->plan.batch;
    fit->loss_sum += loss * (float)app->plan.batch;
    return status;
}

static bt_status step(bt_app *app) {
    bt_fit *fit = &app->fit;
    bt_optimizer optimizer = fit->optimizer;
    optimizer.learning_rate =
        bt_scheduled_rate(fit->schedule, optimizer.learning_rate, fit->warm_up, fit->step, fit->steps);
    const bt_status status = bt_fit_step(&app->engine, optimizer);
    fit->step++;
    app->fit_steps++;
    return status;
}

void bt_fit_slice(bt_app *app) {
    bt_fit *fit = &app->fit;
    bt_status status = train(app);
    if (status == BT_NOT_FINITE) {
        uint32_t offset;
        const bool found = bt_fit_find_fault(&app->engine, fit->windows, fit->labels, &offset) == BT_OK;
        fit->step++; /* counted from one: the step that this window was part of */
        fail(app, status, found ? offset : BT_NO_FAULT);
        return;
    }
    const bool last = fit->position == fit->used;
    if (status == BT_OK && (last || fit->position % fit->batch == 0)) status = step(app);
    if (status != BT_OK)
        fail(app, status, BT_NO_FAULT);
    else if (last)
        end_epoch(app);
}
