/* From a frame to what it asks for, and back to a response. */
#include <string.h>

#include "state.h"

static void respond(bt_app *app, const bt_frame *frame, const uint8_t *bytes, uint32_t length) {
    bt_link_send(&app->link, BT_FRAME_RESPONSE, frame->opcode, frame->id, bytes, length);
}

static void respond_status(bt_app *app, const bt_frame *frame, bt_status status) {
    const uint8_t byte = (uint8_t)status;
    respond(app, frame, &byte, 1);
}

/* This layout is the same in every version of the protocol: lowest u8, highest u8, client u32. */
static void hello(bt_app *app, const bt_frame *frame) {
    bt_reader r = {.at = frame->payload, .left = frame->length};
    const uint32_t lowest = bt_read_u8(&r), highest = bt_read_u8(&r), client = bt_read_u32(&r);
    if (r.underflow || !bt_link_open(&app->link, frame)) return;
    const bool spoken = lowest <= BT_PROTOCOL && BT_PROTOCOL <= highest;
    bt_writer w = {.start = app->payload, .most = sizeof app->payload};
    bt_write_u8(&w, spoken ? BT_OK : BT_UNSUPPORTED);
    bt_write_u8(&w, BT_PROTOCOL);
    bt_write_u8(&w, BT_PROTOCOL); /* lowest and highest that this firmware speaks */
    bt_write_u16(&w, BT_MAX_PAYLOAD);
    bt_write_u32(&w, BT_HEARTBEAT_US / 1000);
    bt_write_u32(&w, app->store.state.boot);
    bt_write_u64(&w, bt_port_time_us(app->port));
    bt_write_u32(&w, app->log.acknowledged + 1);
    bt_write_text(&w, app->device_id, sizeof app->device_id);
    bt_write_text(&w, BT_FIRMWARE, sizeof BT_FIRMWARE);
    bt_write_u32(&w, BT_CAPABILITIES); /* from here on: not told by firmware before 0.2.0 */
    bt_write_text(&w, BT_BUILD, sizeof BT_BUILD);
    respond(app, frame, w.start, w.length);
    if (!spoken) {
        app->link.open = false;
        return;
    }
    if (client != app->client) bt_answers_clear(app->answers);
    app->client = client;
    app->event_cursor = app->log.acknowledged + 1;
    app->heartbeat_due = 0;
}

static bt_status info(bt_app *app, bt_writer *w) {
    static const bt_plan none = {0};
    const bt_plan *plan = app->has_plan ? &app->plan : &none;
    bt_write_u8(w, (uint32_t)app->has_plan | (uint32_t)app->has_weights << 1);
    bt_write(w, plan->hash, sizeof plan->hash);
    bt_write_text(w, plan->model, sizeof plan->model);
    bt_write_u32(w, plan->channels);
    bt_write_u32(w, plan->samples);
    bt_write_u32(w, plan->classes);
    bt_write_f32(w, plan->sampling_rate_hz);
    bt_write_u32(w, bt_serving_version(app));
    bt_write_u32(w, app->has_plan ? app->ring.capacity : 0);
    bt_write_u32(w, plan->names_length);
    bt_write_u32(w, plan->batch); /* from here on: not told by firmware before 0.2.0 */
    bt_write_u32(w, plan->optimizer);
    return BT_OK;
}

static bt_status statistics(bt_app *app, bt_writer *w) {
    const bt_power power = bt_port_power(app->port, (bt_work){app->windows, app->trained});
    const uint32_t values[] = {
        app->windows,
        app->has_plan ? app->ring.held : 0,
        app->log.next - 1 - app->log.acknowledged,
        app->fit_steps,
        app->has_plan ? bt_engine_training_bytes(&app->engine) : 0,
        app->mark.l2_used + (app->has_plan ? app->engine.resident_bytes : 0),
        app->l2_peak,
        app->link.receiver.corrupt,
        bt_serving_version(app),
        app->fit.running,
        app->has_candidate,
        app->recording,
        app->link.stale,
        app->link.lost,
        app->reports_lost,
        app->log.refused,
        app->memory->l1_used,
        app->memory->l3_used,
        app->trust.refused[BT_REFUSED_PLAN], /* from here on: since 0.3.0 */
        app->trust.refused[BT_REFUSED_WEIGHTS],
        app->trust.refused[BT_REFUSED_KEYS],
        app->trust.refused[BT_REFUSED_BANK],
        (uint32_t)power.battery_permille, /* from here on: not told by earlier builds of 0.3.0 */
        (uint32_t)power.charging,
        (uint32_t)power.temperature_decicelsius,
        app->has_plan ? app->engine.touched[BT_REGION_ARENA] : 0, /* high-water marks, the executor's own count */
        app->has_plan ? app->engine.touched[BT_REGION_L1] : 0,
    };
    bt_write_u64(w, bt_port_time_us(app->port));
    bt_write_u32(w, sizeof values / sizeof *values); /* later firmware adds at the end */
    for (uint32_t i = 0; i < sizeof values / sizeof *values; i++) bt_write_u32(w, values[i]);
    return BT_OK;
}

static bt_upload *upload_of(bt_app *app, uint32_t object) {
    return object == BT_OBJECT_WINDOW ? &app->window_upload : &app->bulk_upload;
}

/* A byte behind what is announced: who sends it wants to know every hole, not only the first. */
static bool asks_for_holes(const bt_reader *r) { return r->left && r->at[0]; }

static bt_status begin(bt_app *app, bt_reader *r, bt_writer *w) {
    const uint32_t object = bt_read_u8(r), length = bt_read_u32(r), crc = bt_read_u32(r);
    bt_upload *upload = upload_of(app, object);
    if (r->underflow || object < BT_OBJECT_WINDOW || object > BT_OBJECT_EVALUATION) return BT_BAD_ARGUMENT;
    if (object == BT_OBJECT_WINDOW && !app->has_plan) return BT_NO_PLAN;
    const bt_status status = bt_upload_begin(upload, object, length, crc);
    if (status == BT_OK) bt_upload_write_missing(upload, length, asks_for_holes(r), w);
    return status;
}

static void chunk(bt_app *app, const bt_frame *frame) {
    bt_reader r = {.at = frame->payload, .left = frame->length};
    const uint32_t object = bt_read_u8(&r), offset = bt_read_u32(&r);
    if (!r.underflow && object) bt_upload_chunk(upload_of(app, object), object, offset, r.at, r.left);
}

static bt_status end(bt_app *app, const bt_frame *frame, bt_reader *r, bt_writer *w) {
    const uint32_t object = bt_read_u8(r), length = bt_read_u32(r), crc = bt_read_u32(r);
    bt_upload *upload = upload_of(app, object);
    if (r->underflow) return BT_BAD_ARGUMENT;
    const bt_status status = bt_upload_end(upload, object, length, crc);
    if (status == BT_INCOMPLETE) bt_upload_write_missing(upload, length, asks_for_holes(r), w);
    if (status != BT_OK) return status;
    switch (object) {
        case BT_OBJECT_WINDOW: return bt_infer_window(app, upload->buffer, length, w);
        case BT_OBJECT_PLAN: return bt_app_accept_plan(app, upload->buffer, length);
        case BT_OBJECT_WEIGHTS: return bt_app_accept_weights(app, upload->buffer, length);
        case BT_OBJECT_FIT: return bt_fit_request(app, upload->buffer, length);
        case BT_OBJECT_EVALUATION: return bt_evaluation_request(app, frame->id, upload->buffer, length);
        default: return BT_UNSUPPORTED;
    }
}

/* A part of a file: total u32, CRC-32 of the whole u32, then the bytes. */
static bt_status write_part(bt_writer *w, const uint8_t *head, uint32_t head_length, const uint8_t *body,
                            uint32_t body_length, uint32_t offset, uint32_t most) {
    const uint32_t total = head_length + body_length;
    if (offset > total) return BT_BAD_ARGUMENT;
    if (most > total - offset) most = total - offset;
    bt_write_u32(w, total);
    bt_write_u32(w, bt_crc32(bt_crc32(0, head, head_length), body, body_length));
    if (most > w->most - w->length) most = w->most - w->length;
    const uint32_t from_head = offset >= head_length ? 0 : most < head_length - offset ? most : head_length - offset;
    if (from_head) bt_write(w, head + offset, from_head);
    if (most > from_head) bt_write(w, body + (offset + from_head - head_length), most - from_head);
    return BT_OK;
}

static bt_status read_weights(bt_app *app, uint32_t bank, uint32_t offset, uint32_t most, bt_writer *w) {
    const uint32_t bytes = app->plan.weights_bytes;
    uint8_t header[BT_WEIGHTS_HEADER_BYTES];
    if (!app->has_weights) return BT_NO_WEIGHTS;
    if (bank == BT_LINK_SERVING)
        return write_part(w, app->serving_header, sizeof header, bt_engine_weights(&app->engine, BT_BANK_SERVING),
                          bytes, offset, most);
    if (bank == BT_LINK_CANDIDATE) {
        if (!app->has_candidate) return BT_WRONG_STATE;
        bt_model_candidate_header(app, header);
        return write_part(w, header, sizeof header, bt_engine_weights(&app->engine, BT_BANK_CANDIDATE), bytes, offset,
                          most);
    }
    const uint8_t *file;
    if (bank != BT_LINK_PREVIOUS) return BT_BAD_ARGUMENT;
    const bt_status status = bt_model_read_previous(app, &file);
    if (status != BT_OK) return status;
    return write_part(w, file, BT_WEIGHTS_HEADER_BYTES + bytes, file, 0, offset, most);
}

static bt_status read_object(bt_app *app, bt_reader *r, bt_writer *w) {
    const uint32_t object = bt_read_u8(r), bank = bt_read_u8(r), offset = bt_read_u32(r), most = bt_read_u32(r);
    if (r->underflow) return BT_BAD_ARGUMENT;
    if (!app->has_plan) return BT_NO_PLAN;
    if (object == BT_OBJECT_PLAN) return write_part(w, app->plan.file, app->plan.length, app->plan.file, 0, offset, most);
    if (object == BT_OBJECT_NAMES)
        return write_part(w, app->plan.names, app->plan.names_length, app->plan.names, 0, offset, most);
    return object == BT_OBJECT_WEIGHTS ? read_weights(app, bank, offset, most, w) : BT_UNSUPPORTED;
}

static bt_status label(bt_app *app, bt_reader *r) {
    const uint32_t id = bt_read_u32(r);
    const int32_t value = (int32_t)bt_read_u32(r);
    if (!app->has_plan) return BT_NO_PLAN;
    if (r->underflow || value < BT_NO_LABEL || value >= (int32_t)app->plan.classes) return BT_BAD_ARGUMENT;
    const uint32_t slot = bt_ring_find(&app->ring, id);
    if (slot == BT_NO_SLOT) return BT_UNKNOWN_WINDOW;
    /* a run's windows keep the labels that it began with: one without any could not go on */
    if (app->ring.pinned[slot] & BT_PIN_FIT) return BT_BUSY;
    bt_ring_label(&app->ring, slot, value);
    return BT_OK;
}

static bt_status with_version(bt_app *app, bt_status status, bt_writer *w) {
    if (status == BT_OK) bt_write_u32(w, bt_serving_version(app));
    return status;
}

/* first u32, if given: windows are numbered from there at least */
static bt_status record(bt_app *app, bool on, bt_reader *r) {
    const uint32_t first = r->left >= 4 ? bt_read_u32(r) : 0;
    const uint32_t bytes = bt_port_source_window_bytes(app->port);
    if (!bytes) return BT_UNSUPPORTED; /* no electrodes here */
    if (on && !app->has_weights) return app->has_plan ? BT_NO_WEIGHTS : BT_NO_PLAN;
    if (on && bytes != bt_window_bytes(&app->plan)) return BT_BAD_ARGUMENT;
    if (on == app->recording) return BT_OK;
    if (on) {
        if (first > app->recorded_first + app->recorded_next) app->recorded_first = first - app->recorded_next;
        bt_port_source_start(app->port);
    } else
        bt_port_source_stop(app->port);
    app->recording = on;
    return BT_OK;
}

static bt_status execute(bt_app *app, const bt_frame *frame, bt_writer *w) {
    bt_reader r = {.at = frame->payload, .left = frame->length};
    switch (frame->opcode) {
        case BT_OP_INFO: return info(app, w);
        case BT_OP_STATISTICS: return statistics(app, w);
        case BT_OP_BEGIN: return begin(app, &r, w);
        case BT_OP_END: return end(app, frame, &r, w);
        case BT_OP_READ: return read_object(app, &r, w);
        case BT_OP_LABEL: return label(app, &r);
        case BT_OP_STOP_FIT: return bt_fit_stop(app);
        case BT_OP_COMMIT: {
            const bool refine = r.left && bt_read_u32(&r) != 0;
            return r.underflow ? BT_BAD_ARGUMENT : with_version(app, bt_model_commit(app, refine), w);
        }
        case BT_OP_DISCARD: return bt_model_discard(app);
        case BT_OP_ROLL_BACK: return with_version(app, bt_model_roll_back(app), w);
        case BT_OP_ACKNOWLEDGE: {
            const uint32_t boot = bt_read_u32(&r), seq = bt_read_u32(&r);
            return r.underflow ? BT_BAD_ARGUMENT : bt_event_log_acknowledge(&app->log, boot, seq);
        }
        case BT_OP_REPLAY: app->event_cursor = bt_read_u32(&r); return r.underflow ? BT_BAD_ARGUMENT : BT_OK;
        case BT_OP_START_RECORDING: return record(app, true, &r);
        case BT_OP_STOP_RECORDING: return record(app, false, &r);
        case BT_OP_WEARERS: return bt_wearers_list(app, w);
        case BT_OP_CHOOSE_WEARER: return with_version(app, bt_wearers_choose(app, &r), w);
        case BT_OP_ERASE_WEARER: return with_version(app, bt_wearers_erase(app, &r), w);
        case BT_OP_FACTORY_RESET: return bt_wearers_factory_reset(app, &r);
        case BT_OP_KEYS: bt_trust_list(app, w); return BT_OK;
        case BT_OP_TRUST: return bt_app_take_keys(app, r.at, r.left);
        default: return BT_UNSUPPORTED;
    }
}

/* Reading again does no harm, and its answers would not fit into the memory of answers. */
static bool remembered(const bt_frame *frame) {
    switch (frame->opcode) {
        case BT_OP_INFO:
        case BT_OP_STATISTICS:
        case BT_OP_WEARERS:
        case BT_OP_KEYS:
        case BT_OP_BEGIN:
        case BT_OP_READ:
        case BT_OP_REPLAY: return false;
        case BT_OP_END: return frame->length && frame->payload[0] != BT_OBJECT_EVALUATION;
        default: return true;
    }
}

static void request(bt_app *app, const bt_frame *frame) {
    const bool keep = remembered(frame);
    const bt_answer *answer = NULL;
    if (app->evaluation.running && app->evaluation.request == frame->id) return; /* it is being answered */
    if (keep) {
        if (bt_answers_find(app->answers, frame->id, &answer) != BT_OK) {
            respond_status(app, frame, BT_FORGOTTEN);
            return;
        }
        if (answer) {
            respond(app, frame, answer->bytes, answer->length);
            return;
        }
    }
    bt_writer w = {.start = app->payload, .length = 1, .most = sizeof app->payload};
    const bt_status status = execute(app, frame, &w);
    if (app->evaluation.running && app->evaluation.request == frame->id) return; /* the answer comes with its end */
    if (status != BT_OK && status != BT_INCOMPLETE) w.length = 1;
    w.start[0] = (uint8_t)status;
    if (keep && status != BT_INCOMPLETE) bt_answers_keep(app->answers, frame->id, w.start, w.length);
    respond(app, frame, w.start, w.length);
}

void bt_serve(bt_app *app, const bt_frame *frame) {
    /* a frame of our own that some link has thrown back must not count as the agent's */
    if (frame->kind != BT_FRAME_REQUEST && frame->kind != BT_FRAME_ONE_WAY) return;
    if (frame->kind == BT_FRAME_REQUEST && frame->opcode == BT_OP_HELLO) {
        hello(app, frame);
        return;
    }
    if (!app->link.open && frame->kind == BT_FRAME_REQUEST) {
        app->link.session = frame->session; /* so that its sender will read the answer */
        respond_status(app, frame, BT_NO_SESSION);
        return;
    }
    if (!bt_link_accept(&app->link, frame)) return;
    if (frame->kind == BT_FRAME_REQUEST)
        request(app, frame);
    else if (frame->kind == BT_FRAME_ONE_WAY && frame->opcode == BT_OP_CHUNK)
        chunk(app, frame);
}
