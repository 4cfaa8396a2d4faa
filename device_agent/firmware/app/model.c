/* The plan and the weights that serve: accepted, committed, rolled back, and brought back at boot. */
#include <string.h>

#include "../runtime/bytes.h"
#include "layout.h"
#include "state.h"

uint32_t bt_serving_version(const bt_app *app) {
    return app->has_weights ? app->store.state.wearer[app->store.state.active].serving.version : 0;
}

bool bt_has_room_to_tell(const bt_app *app) { return bt_event_log_free(&app->log) > BT_EVENT_RESERVE_COMMAND; }

static uint32_t rounded(uint32_t bytes) { return (bytes + 15) / 16 * 16; }

/* Would bt_engine_init find room? Asked before the plan in use is given up. */
static bool fits(const bt_app *app, const bt_plan *plan) {
    uint64_t l2 = app->mark.l2_used + rounded(plan->length) + 2 * (uint64_t)rounded(plan->weights_bytes);
    for (uint32_t r = BT_REGION_GRADIENTS; r <= BT_REGION_ARENA; r++) l2 += rounded(plan->region_bytes[r]);
    const uint64_t l1 = app->mark.l1_used + (uint64_t)rounded(plan->region_bytes[BT_REGION_L1]);
    const uint64_t l3 = app->mark.l3_used + (uint64_t)rounded(plan->region_bytes[BT_REGION_L3]) +
                        4 * (uint64_t)(bt_window_bytes(plan) + 48) + 8 * (uint64_t)BT_RING_MOST + plan->batch * (sizeof(bt_window) + 4) + 64;
    return l1 <= app->mark.l1_size && l2 <= app->mark.l2_size && l3 <= app->mark.l3_size &&
           plan->weights_bytes <= BT_BANK_BYTES - BT_WEIGHTS_HEADER_BYTES;
}

void bt_model_forget(bt_app *app) {
    bt_evaluation_abort(app, BT_NO_PLAN);
    *app->memory = app->mark;
    app->has_plan = app->has_weights = app->has_candidate = false;
    app->fit.running = false;
    app->window_upload = (bt_upload){0};
}

/* Take the file into L2 and place everything that depends on it. */
static bt_status place_plan(bt_app *app, const uint8_t *file, uint32_t length) {
    bt_model_forget(app);
    uint8_t *own = bt_take_l2(app->memory, length);
    if (!own) return BT_NO_MEMORY;
    memcpy(own, file, length);
    bt_status status = bt_plan_open(&app->plan, own, length);
    if (status == BT_OK) status = bt_engine_init(&app->engine, &app->plan, app->port, app->memory);
    if (status != BT_OK) return status;
    const uint32_t window = bt_window_bytes(&app->plan);
    app->window_upload = (bt_upload){.buffer = bt_take_l3(app->memory, window), .capacity = window};
    app->fit.slots = bt_take_l3(app->memory, BT_RING_MOST * 4);
    app->fit.order = bt_take_l3(app->memory, BT_RING_MOST * 4);
    app->fit.windows = bt_take_l3(app->memory, app->plan.batch * (uint32_t)sizeof *app->fit.windows);
    app->fit.labels = bt_take_l3(app->memory, app->plan.batch * (uint32_t)sizeof *app->fit.labels);
    if (!app->window_upload.buffer || !app->fit.slots || !app->fit.order || !app->fit.windows || !app->fit.labels)
        return BT_NO_MEMORY;
    status = bt_ring_init(&app->ring, &app->plan, app->memory, bt_wearers_owner(app));
    if (status != BT_OK) return status;
    if (app->memory->l2_used > app->l2_peak) app->l2_peak = app->memory->l2_used;
    app->has_plan = true;
    return BT_OK;
}

/* Weights that have been checked become what serves, in memory. */
static void serve(bt_app *app, const uint8_t header[BT_WEIGHTS_HEADER_BYTES], const uint8_t *values) {
    memcpy(app->serving_header, header, BT_WEIGHTS_HEADER_BYTES);
    memcpy(bt_engine_weights(&app->engine, BT_BANK_SERVING), values, app->plan.weights_bytes);
    app->has_weights = true;
}

static void serve_file(bt_app *app, const uint8_t *file) { serve(app, file, file + BT_WEIGHTS_HEADER_BYTES); }

/* Weights were written under this plan, or under one that they have everything in common with. */
static bool belong(const bt_app *app, const bt_stored *which) {
    return which->length == BT_WEIGHTS_HEADER_BYTES + app->plan.weights_bytes &&
           which->layout == bt_plan_layout(&app->plan);
}

/* Read and check a stored weights file, through the buffer for uploads. BT_WRONG_PLAN when it is set aside for a plan that
 * is not in use. */
static bt_status load_stored(bt_app *app, const bt_stored *which, uint8_t **out) {
    bt_weights_header header;
    uint8_t *file = app->bulk_upload.buffer;
    app->bulk_upload.object = 0; /* whatever was coming begins anew */
    if (!belong(app, which)) return BT_WRONG_PLAN;
    bt_status status = bt_store_read_weights(&app->store, which, file, app->bulk_upload.capacity);
    if (status != BT_OK) return status;
    const uint8_t *values = file + BT_WEIGHTS_HEADER_BYTES;
    /* of this device and this wearer, and this version of them: none that was put back, or brought from elsewhere */
    if (!bt_trust_is_own(app, file, values, app->plan.weights_bytes) || (bt_has_keys(app) && bt_u32(file + 80) != which->version))
        return bt_trust_refuse(app, BT_REFUSED_BANK, BT_FOREIGN_WEIGHTS);
    bt_plan plan = app->plan;
    memcpy(plan.hash, file + 16, BT_HASH_BYTES); /* an older build of the same model may stand there */
    status = bt_weights_open(&header, &plan, file, which->length);
    if (status != BT_OK) return status;
    memcpy(header.plan_hash, app->plan.hash, BT_HASH_BYTES);
    bt_weights_seal(file, &header, values);
    bt_trust_mark(app, file, values, app->plan.weights_bytes);
    *out = file;
    return BT_OK;
}

/* A bank that storage has damaged gives way to the one before, which is known and whole. */
static bt_status serve_previous(bt_app *app, const char *why) {
    bt_state next = app->store.state;
    uint8_t *file;
    bt_active(&next)->serving = bt_active(&next)->previous;
    bt_active(&next)->previous = (bt_stored){0};
    bt_status status = load_stored(app, &bt_active(&next)->serving, &file);
    if (status != BT_OK) return status;
    bt_event event = {.kind = BT_EVENT_ROLLED_BACK};
    for (uint32_t i = 0; i + 1 < sizeof event.detail && why[i]; i++) event.detail[i] = why[i];
    status = bt_change(app, next, event);
    if (status == BT_OK) serve_file(app, file);
    return status;
}

bt_status bt_model_serve_stored(bt_app *app) {
    const bt_stored *serving = &bt_active(&app->store.state)->serving;
    uint8_t *file;
    app->has_weights = app->has_candidate = false;
    if (!serving->length || !belong(app, serving)) return BT_NO_WEIGHTS;
    const bt_status status = load_stored(app, serving, &file);
    if (status == BT_OK)
        serve_file(app, file);
    else if (serve_previous(app, status == BT_FOREIGN_WEIGHTS ? "bank not of this device" : "bank damaged in storage") == BT_OK)
        return BT_OK;
    return status;
}

bt_status bt_model_boot(bt_app *app) {
    bt_upload *buffer = &app->bulk_upload;
    const bt_state *state = &app->store.state;
    bt_plan probe;
    if (!state->plan.length) return BT_NO_PLAN;
    bt_status status = bt_store_read_plan(&app->store, buffer->buffer, buffer->capacity);
    if (status == BT_OK) status = bt_plan_open(&probe, buffer->buffer, state->plan.length);
    if (status == BT_OK && bt_has_keys(app)) { /* the state, which is this device's own, says which plan it took */
        uint8_t digest[BT_HASH_BYTES];
        bt_sha256(buffer->buffer, state->plan.length, digest);
        if (memcmp(digest, state->plan_digest, sizeof digest) != 0) status = BT_BAD_SIGNATURE;
        bt_trust_refuse(app, BT_REFUSED_PLAN, status);
    }
    if (status == BT_OK) status = place_plan(app, buffer->buffer, state->plan.length);
    if (status != BT_OK) {
        bt_model_forget(app);
        return status;
    }
    return bt_model_serve_stored(app);
}

/* Weights that do not go with the plan are set aside; where those before do, they serve again. */
static uint32_t choose_weights(bt_wearer *wearer, uint32_t layout) {
    const bt_stored serving = wearer->serving;
    if (serving.length && serving.layout == layout) return serving.version;
    if (!wearer->previous.length || wearer->previous.layout != layout) return 0;
    wearer->serving = wearer->previous;
    wearer->previous = serving;
    return wearer->serving.version;
}

bt_status bt_model_accept_plan(bt_app *app, const uint8_t *file, uint32_t length) {
    bt_plan probe;
    bt_state next = app->store.state;
    if (app->fit.running || app->evaluation.running) return BT_BUSY;
    if (length > BT_PLAN_SLOT_BYTES) return BT_NO_MEMORY;
    bt_status status = bt_plan_open(&probe, file, length);
    if (status != BT_OK) return status;
    uint32_t number;
    status = bt_trust_plan(app, &probe, &number, next.plan_digest);
    if (status != BT_OK) return status;
    if (app->has_plan && app->plan.length == length && memcmp(app->plan.file, file, length) == 0)
        return BT_OK; /* already in use: its weights stay */
    if (number > next.plan_number) next.plan_number = number;
    if (!fits(app, &probe)) return BT_NO_MEMORY;
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    status = bt_store_write_plan(&app->store, file, length, &next.plan);
    if (status != BT_OK) return status;
    bt_event event = {.kind = BT_EVENT_PLAN_ACCEPTED};
    for (uint32_t i = 0; i < BT_WEARERS; i++) {
        const uint32_t kept = choose_weights(&next.wearer[i], bt_plan_layout(&probe));
        if (i == next.active) event.weights_version = kept;
    }
    memcpy(event.detail, probe.model, sizeof event.detail);
    status = bt_change(app, next, event);
    if (status != BT_OK) return status;
    status = place_plan(app, file, length);
    if (status != BT_OK) {
        bt_model_forget(app);
        return status;
    }
    bt_model_serve_stored(app); /* through the buffer in which the plan came: it has been copied */
    return BT_OK;
}

/* The block behind a weights file, which *length is then without; NULL when there is none. */
static const uint8_t *signature_behind(const uint8_t *file, uint32_t *length) {
    if (*length < BT_WEIGHTS_HEADER_BYTES + BT_SIGNATURE_BYTES) return NULL;
    const uint32_t body = *length - BT_SIGNATURE_BYTES;
    if (memcmp(file + body, "BTSG", 4) != 0 || bt_u32(file + 8) != body - BT_WEIGHTS_HEADER_BYTES) return NULL;
    *length = body;
    return file + body;
}

bt_status bt_model_accept_weights(bt_app *app, const uint8_t *file, uint32_t length) {
    bt_weights_header header;
    bt_state next = app->store.state;
    if (!app->has_plan) return BT_NO_PLAN;
    if (app->fit.running || app->evaluation.running) return BT_BUSY;
    const uint8_t *block = signature_behind(file, &length), *values = file + BT_WEIGHTS_HEADER_BYTES;
    bt_status status = bt_weights_open(&header, &app->plan, file, length);
    if (status == BT_OK) status = bt_trust_weights(app, file, length, block);
    if (status != BT_OK) return status;
    uint8_t own[BT_WEIGHTS_HEADER_BYTES]; /* once let in, they are this device's */
    memcpy(own, file, sizeof own);
    bt_trust_mark(app, own, values, header.value_bytes);
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    if (app->has_candidate) status = bt_model_discard(app);
    if (status != BT_OK) return status;
    status = bt_store_write_weights(&app->store, own, values, header.value_bytes, header.version,
                                    &bt_active(&next)->serving);
    if (status != BT_OK) return status;
    bt_active(&next)->serving.layout = bt_plan_layout(&app->plan);
    bt_active(&next)->previous = bt_active(&app->store.state)->serving;
    if (header.version >= next.next_version) next.next_version = header.version + 1;
    status = bt_change(app, next, (bt_event){.kind = BT_EVENT_WEIGHTS_WRITTEN, .weights_version = header.version});
    if (status == BT_OK) serve(app, own, values);
    return status;
}

void bt_model_candidate_header(bt_app *app, uint8_t out[BT_WEIGHTS_HEADER_BYTES]) {
    bt_weights_header header = {
        .version = app->store.state.next_version,
        .origin = BT_ORIGIN_ADAPTED,
        .value_bytes = app->plan.weights_bytes,
    };
    memcpy(header.plan_hash, app->plan.hash, BT_HASH_BYTES);
    memcpy(header.device_id, app->device_id, sizeof header.device_id);
    bt_sha256(bt_engine_weights(&app->engine, BT_BANK_SERVING), app->plan.weights_bytes, header.parent_hash);
    bt_weights_seal(out, &header, bt_engine_weights(&app->engine, BT_BANK_CANDIDATE));
}

bt_status bt_model_commit(bt_app *app, bool refine) {
    uint8_t header[BT_WEIGHTS_HEADER_BYTES];
    bt_state next = app->store.state;
    const uint32_t version = next.next_version;
    if (app->fit.running) return BT_BUSY;
    if (!app->has_candidate) return BT_WRONG_STATE;
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    bt_model_candidate_header(app, header);
    bt_trust_mark(app, header, bt_engine_weights(&app->engine, BT_BANK_CANDIDATE), app->plan.weights_bytes);
    bt_status status = bt_store_write_weights(&app->store, header, bt_engine_weights(&app->engine, BT_BANK_CANDIDATE),
                                              app->plan.weights_bytes, version, &bt_active(&next)->serving);
    if (status != BT_OK) return status;
    bt_active(&next)->serving.layout = bt_plan_layout(&app->plan);
    if (!refine || !bt_active(&next)->previous.length)
        bt_active(&next)->previous = bt_active(&app->store.state)->serving;
    next.next_version = version + 1;
    const bt_event event = {.kind = BT_EVENT_COMMITTED, .fit_id = app->fit.id, .weights_version = version};
    status = bt_change(app, next, event);
    if (status != BT_OK) return status;
    bt_engine_promote(&app->engine);
    memcpy(app->serving_header, header, sizeof header);
    app->has_candidate = false;
    return BT_OK;
}

bt_status bt_model_discard(bt_app *app) {
    if (!app->has_candidate) return BT_WRONG_STATE;
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    if (app->evaluation.bank == BT_BANK_CANDIDATE) bt_evaluation_abort(app, BT_WRONG_STATE);
    app->has_candidate = false;
    return bt_tell(app, (bt_event){.kind = BT_EVENT_DISCARDED, .fit_id = app->fit.id});
}

static bt_status load_previous(bt_app *app, uint8_t **file) {
    const bt_stored *previous = &bt_active(&app->store.state)->previous;
    if (!previous->length) return BT_WRONG_STATE;
    const bt_status status = load_stored(app, previous, file);
    return status == BT_BAD_CRC || status == BT_WRONG_PLAN ? BT_WRONG_STATE : status;
}

bt_status bt_model_roll_back(bt_app *app) {
    uint8_t *file;
    bt_state next = app->store.state;
    if (app->fit.running) return BT_BUSY;
    if (!app->has_weights) return BT_WRONG_STATE;
    if (!bt_has_room_to_tell(app)) return BT_LOG_FULL;
    bt_status status = load_previous(app, &file);
    if (status == BT_OK && app->has_candidate) status = bt_model_discard(app);
    if (status != BT_OK) return status;
    bt_active(&next)->serving = bt_active(&next)->previous;
    bt_active(&next)->previous = (bt_stored){0};
    const bt_event event = {.kind = BT_EVENT_ROLLED_BACK, .weights_version = bt_active(&next)->serving.version};
    status = bt_change(app, next, event);
    if (status == BT_OK) serve_file(app, file);
    return status;
}

bt_status bt_model_load_previous(bt_app *app) {
    uint8_t *file;
    if (app->fit.running || app->has_candidate) return BT_BUSY;
    const bt_status status = load_previous(app, &file);
    if (status != BT_OK) return status;
    memcpy(bt_engine_weights(&app->engine, BT_BANK_CANDIDATE), file + BT_WEIGHTS_HEADER_BYTES, app->plan.weights_bytes);
    return BT_OK;
}

bt_status bt_model_read_previous(bt_app *app, const uint8_t **file) {
    uint8_t *loaded = NULL;
    const bt_status status = load_previous(app, &loaded);
    *file = loaded;
    return status;
}
