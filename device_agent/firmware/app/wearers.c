/* Several people on one device: weights and windows of each are its own, and can be erased without a trace. */
#include <string.h>

#include "state.h"

/* u8 length, then the name; padded with zeros. */
static bool read_name(bt_reader *r, char name[BT_WEARER_BYTES]) {
    const uint32_t length = bt_read_u8(r);
    memset(name, 0, BT_WEARER_BYTES);
    if (r->underflow || length >= BT_WEARER_BYTES || length != r->left) return false;
    memcpy(name, r->at, length);
    return strlen(name) == length;
}

static uint32_t find(const bt_state *state, const char *name) {
    uint32_t i = 0;
    while (i < BT_WEARERS && strcmp(state->wearer[i].name, name) != 0) i++;
    return i;
}

static uint32_t find_free(const bt_state *state) {
    uint32_t i = 1;
    while (i < BT_WEARERS && state->wearer[i].name[0]) i++;
    return i;
}

static bt_event named(bt_event_kind kind, const char *name) {
    bt_event event = {.kind = kind};
    memcpy(event.detail, name, BT_WEARER_BYTES);
    return event;
}

uint32_t bt_wearers_owner(const bt_app *app) {
    const bt_wearer *wearer = &app->store.state.wearer[app->store.state.active];
    return bt_crc32(app->store.state.active + 1, (const uint8_t *)wearer->name, sizeof wearer->name);
}

/* What memory holds of whoever was served before: windows, weights, and what was coming over the link. */
static void wipe_memory(bt_app *app) {
    app->window_upload.object = app->bulk_upload.object = 0;
    memset(app->bulk_upload.buffer, 0, app->bulk_upload.capacity);
    app->has_weights = app->has_candidate = false;
    bt_answers_forget_windows(app->answers);
    memset(app->serving_header, 0, sizeof app->serving_header);
    memset(app->memory->l3 + app->mark.l3_used, 0, app->memory->l3_size - app->mark.l3_used);
    if (!app->has_plan) return;
    for (uint32_t bank = BT_BANK_SERVING; bank <= BT_BANK_CANDIDATE; bank++)
        memset(bt_engine_weights(&app->engine, (bt_bank)bank), 0, app->plan.weights_bytes);
    for (uint32_t r = BT_REGION_GRADIENTS; r < BT_REGION_COUNT; r++)
        if (app->engine.region[r]) memset(app->engine.region[r], 0, app->plan.region_bytes[r]);
    bt_ring_clear(&app->ring, bt_wearers_owner(app));
}

bt_status bt_wearers_list(bt_app *app, bt_writer *w) {
    const bt_state *state = &app->store.state;
    uint32_t count = 1;
    for (uint32_t i = 1; i < BT_WEARERS; i++) count += state->wearer[i].name[0] != 0;
    bt_write_text(w, state->wearer[state->active].name, BT_WEARER_BYTES);
    bt_write_u8(w, BT_WEARERS);
    bt_write_u8(w, count);
    for (uint32_t i = 0; i < BT_WEARERS; i++) {
        const bt_wearer *wearer = &state->wearer[i];
        if (i && !wearer->name[0]) continue;
        bt_write_text(w, wearer->name, BT_WEARER_BYTES);
        bt_write_u32(w, wearer->serving.length ? wearer->serving.version : 0);
        bt_write_u32(w, wearer->previous.length ? wearer->previous.version : 0);
    }
    return BT_OK;
}

static bt_status may_change(const bt_app *app) {
    if (app->fit.running || app->evaluation.running) return BT_BUSY;
    return bt_has_room_to_tell(app) ? BT_OK : BT_LOG_FULL;
}

static void serve_active(bt_app *app) {
    wipe_memory(app);
    if (app->has_plan) bt_model_serve_stored(app);
}

bt_status bt_wearers_choose(bt_app *app, bt_reader *r) {
    char name[BT_WEARER_BYTES];
    bt_state next = app->store.state;
    if (!read_name(r, name)) return BT_BAD_ARGUMENT;
    bt_status status = may_change(app);
    uint32_t which = find(&next, name);
    if (which == next.active) return BT_OK;
    if (status != BT_OK) return status;
    if (which == BT_WEARERS) which = find_free(&next);
    if (which == BT_WEARERS) return BT_TOO_MANY_WEARERS;
    if (app->has_candidate) status = bt_model_discard(app);
    if (status != BT_OK) return status;
    memcpy(next.wearer[which].name, name, sizeof name);
    next.active = which;
    bt_event event = named(BT_EVENT_WEARER_CHOSEN, name);
    event.weights_version = next.wearer[which].serving.length ? next.wearer[which].serving.version : 0;
    status = bt_change(app, next, event);
    if (status == BT_OK) serve_active(app);
    return status;
}

bt_status bt_wearers_erase(bt_app *app, bt_reader *r) {
    char name[BT_WEARER_BYTES];
    bt_state next = app->store.state;
    if (!read_name(r, name)) return BT_BAD_ARGUMENT;
    bt_status status = may_change(app);
    if (status != BT_OK) return status;
    const uint32_t which = find(&next, name);
    if (which == BT_WEARERS) return BT_UNKNOWN_WEARER;
    const bool served = which == next.active;
    if (served && app->has_candidate) status = bt_model_discard(app);
    if (status != BT_OK) return status;
    memset(&next.wearer[which], 0, sizeof next.wearer[which]);
    if (served) next.active = 0;
    next.erasing |= 1u << which;
    status = bt_change(app, next, named(BT_EVENT_WEARER_ERASED, name));
    if (status != BT_OK) return status;
    if (served) serve_active(app);
    return bt_store_finish_erasing(&app->store);
}

/* The device's own name must be said: nothing does this by accident. */
bt_status bt_wearers_factory_reset(bt_app *app, bt_reader *r) {
    char name[BT_WEARER_BYTES];
    const bt_state old = app->store.state;
    if (!read_name(r, name) || strcmp(name, app->device_id) != 0) return BT_BAD_ARGUMENT;
    const bt_status busy = may_change(app);
    if (busy != BT_OK) return busy;
    bt_state next = {.boot = old.boot, .next_version = old.next_version, .erasing = BT_ERASE_ALL};
    next.plan_number = old.plan_number; /* a reset opens no way to older plans */
    memcpy(next.plan_digest, old.plan_digest, sizeof next.plan_digest);
    app->store.orphaned = false;
    const bt_status status = bt_change(app, next, (bt_event){.kind = BT_EVENT_FACTORY_RESET});
    if (status != BT_OK) return status;
    wipe_memory(app);
    bt_model_forget(app);
    return bt_store_finish_erasing(&app->store);
}

bt_status bt_wearers_finish_erasing(bt_app *app) {
    if (!app->store.state.erasing) return BT_OK;
    memset(app->memory->l3 + app->mark.l3_used, 0, app->memory->l3_size - app->mark.l3_used);
    return bt_store_finish_erasing(&app->store);
}
