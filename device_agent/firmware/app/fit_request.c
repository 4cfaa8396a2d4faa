/* What a fit asks for, checked as a whole before anything of it begins. */
#include <string.h>

#include "state.h"

static bool within(float value, float least, float most) { return value >= least && value < most; } /* NaN is not */

/* Behind the windows, where the sender knows of it (BT_CAN_FIT_SETTINGS):
 * optimiser u32 (0: whichever the plan has), nesterov u32, warm-up steps u32, beta 1, beta 2, epsilon, clip norm f32 */
static bt_status read_settings(bt_fit *fit, const bt_plan *plan, bt_reader *r) {
    const uint32_t kind = bt_read_u32(r);
    bt_optimizer *o = &fit->optimizer;
    o->nesterov = bt_read_u32(r);
    fit->warm_up = bt_read_u32(r);
    o->beta_1 = bt_read_f32(r);
    o->beta_2 = bt_read_f32(r);
    o->epsilon = bt_read_f32(r);
    o->clip_norm = bt_read_f32(r);
    const bool possible = (kind == BT_OPTIMIZER_OTHER || kind == (uint32_t)plan->optimizer) && o->nesterov <= 1 &&
                          (!o->nesterov || plan->optimizer == BT_OPTIMIZER_SGD) && within(o->beta_1, 0.0f, 1.0f) &&
                          within(o->beta_2, 0.0f, 1.0f) && within(o->epsilon, 0.0f, 1.0f) &&
                          within(o->clip_norm, 0.0f, 1e9f);
    return possible ? BT_OK : BT_BAD_ARGUMENT;
}

/* fit u32, epochs u32, batch u32, cosine u32, seed u64, rate f32, momentum f32, decay f32, count u32, ids u32[] */
static bt_status read_request(bt_fit *fit, const bt_app *app, bt_reader *r, bt_reader *ids) {
    fit->id = bt_read_u32(r);
    fit->epochs = bt_read_u32(r);
    fit->batch = bt_read_u32(r);
    fit->schedule = bt_read_u32(r) ? BT_SCHEDULE_COSINE : BT_SCHEDULE_CONSTANT;
    fit->random.state = bt_read_u64(r);
    fit->optimizer.learning_rate = bt_read_f32(r);
    fit->optimizer.momentum = bt_read_f32(r);
    fit->optimizer.weight_decay = bt_read_f32(r);
    fit->count = bt_read_u32(r);
    const bt_optimizer o = fit->optimizer;
    const bool possible = fit->epochs >= 1 && fit->epochs <= 900 && fit->batch >= 1 && fit->batch <= 1024 &&
                          fit->count >= 1 && fit->count < BT_RING_MOST && o.learning_rate > 0.0f &&
                          o.learning_rate < 1e3f && within(o.momentum, 0.0f, 1.0f) && within(o.weight_decay, 0.0f, 1e3f);
    if (!possible || r->underflow || r->left < fit->count * 4) return BT_BAD_ARGUMENT;
    *ids = (bt_reader){.at = bt_read(r, fit->count * 4), .left = fit->count * 4};
    bt_status status = r->left ? read_settings(fit, &app->plan, r) : BT_OK;
    if (r->underflow || r->left) status = BT_BAD_ARGUMENT;
    return status;
}

/* A plan that trains over a whole batch knows no other: an epoch leaves out the windows of an unfinished one, others
 * each time, as they are shuffled. */
static bt_status plan_epochs(bt_fit *fit, const bt_plan *plan) {
    if (plan->batch > 1 && (fit->batch != plan->batch || fit->count < plan->batch)) return BT_BAD_ARGUMENT;
    fit->used = fit->count - fit->count % plan->batch;
    fit->steps = fit->epochs * ((fit->used + fit->batch - 1) / fit->batch);
    return fit->warm_up <= fit->steps ? BT_OK : BT_BAD_ARGUMENT;
}

bt_status bt_fit_request(bt_app *app, const uint8_t *body, uint32_t length) {
    bt_reader r = {.at = body, .left = length}, ids = {0};
    bt_fit fit = {
        .slots = app->fit.slots, .order = app->fit.order, .windows = app->fit.windows, .labels = app->fit.labels};
    if (!app->has_plan) return BT_NO_PLAN;
    if (!app->has_weights) return BT_NO_WEIGHTS;
    if (app->fit.running) return BT_BUSY;
    bt_status status = read_request(&fit, app, &r, &ids);
    if (status == BT_OK) status = plan_epochs(&fit, &app->plan);
    if (status != BT_OK) return status;
    if (fit.count >= app->ring.capacity) return BT_BAD_ARGUMENT;
    if (app->evaluation.running && app->evaluation.bank == BT_BANK_CANDIDATE) return BT_BUSY;
    if (bt_event_log_free(&app->log) < fit.epochs + BT_EVENT_RESERVE_FIT) return BT_LOG_FULL;
    for (uint32_t i = 0; i < fit.count; i++) {
        fit.slots[i] = bt_ring_find(&app->ring, bt_read_u32(&ids));
        if (fit.slots[i] == BT_NO_SLOT) return BT_UNKNOWN_WINDOW;
        if (bt_window_label(bt_ring_body(&app->ring, fit.slots[i])) < 0) return BT_BAD_ARGUMENT;
    }
    if (app->has_candidate) status = bt_model_discard(app);
    return status == BT_OK ? bt_fit_start(app, fit) : status;
}
