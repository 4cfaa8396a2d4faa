/* All that the app knows. Its parts: window, ring, upload, event, store (no knowledge of the app);
 * model, fit, evaluation, serve (one noun each, over this struct). */
#ifndef BIOTRAIN_APP_STATE_H
#define BIOTRAIN_APP_STATE_H

#include "../protocol/link.h"
#include "../protocol/memory.h"
#include "../protocol/opcodes.h"
#include "../protocol/wire.h"
#include "app.h"
#include "fault.h"
#include "ring.h"
#include "store.h"
#include "upload.h"

#define BT_FIRMWARE "0.3.0"
#ifndef BT_BUILD
#define BT_BUILD "unknown"
#endif

enum {
    BT_HEARTBEAT_US = 1000000,
    BT_EVALUATE_MOST = 512, /* windows of one request: its answer is one frame that the memory of answers can hold */
    BT_RECEIVE_BYTES = 256,
    BT_BULK_BYTES = 128 * 4096 /* the largest upload beside windows: a weights file that fills its bank */
};

typedef struct bt_fit {
    bool running;
    uint32_t id, epochs, batch, count;
    bt_optimizer optimizer;
    bt_schedule schedule;
    uint32_t warm_up; /* steps */
    bt_random random;
    uint32_t *slots, *order; /* in L3: the ring's slots, and the order of this epoch */
    bt_window *windows;      /* in L3, with their labels: those of one run of the training program */
    uint32_t *labels;
    uint32_t used; /* windows of an epoch: all, or as many as make whole batches where the plan needs those */
    uint32_t epoch, position, step, steps;
    float loss_sum;
} bt_fit;

typedef struct bt_evaluation {
    bool running, done;
    uint32_t request, count, position;
    bt_bank bank;
    bt_status status;
    uint32_t slots[BT_EVALUATE_MOST];
    uint8_t predicted[BT_EVALUATE_MOST];
} bt_evaluation;

/* What is refused, counted since boot. */
typedef enum bt_refused { BT_REFUSED_PLAN, BT_REFUSED_WEIGHTS, BT_REFUSED_KEYS, BT_REFUSED_BANK, BT_REFUSED_KINDS } bt_refused;

typedef struct bt_trust {
    bt_key_set keys;
    uint8_t secret[BT_SECRET_BYTES]; /* leaves the device in no way */
    uint32_t counter;                /* of writes of the record: the larger one counts */
    uint32_t refused[BT_REFUSED_KINDS];
    uint64_t told[BT_REFUSED_KINDS]; /* bits of the reasons that an event has told */
} bt_trust;

struct bt_app {
    bt_port *port;
    bt_memory *memory, mark; /* mark: what is in use without a plan */
    char device_id[BT_DEVICE_ID_BYTES];
    uint32_t l2_peak;

    bt_link link;
    uint8_t input[BT_RECEIVE_BYTES];
    uint32_t input_at, input_count;
    uint8_t payload[BT_MAX_PAYLOAD]; /* of the frame that is being made */
    uint32_t client;                 /* whose answers are remembered */
    bt_answers *answers;             /* in L3 */
    bt_upload window_upload, bulk_upload;
    uint32_t event_cursor; /* index of the next event to send */
    uint64_t heartbeat_due;

    bt_trust trust;
    bt_store store;
    bt_event_log log;
    bt_plan plan;
    bt_engine engine;
    bt_ring ring;
    uint8_t serving_header[BT_WEIGHTS_HEADER_BYTES];
    bool has_plan, has_weights, has_candidate;
    bt_fit fit;
    bt_evaluation evaluation; /* in L2: 2.6 KB */

    bool recording;
    uint32_t recorded_first; /* added to the source's numbers, so that those the agent sees only grow */
    uint32_t recorded_next;  /* the source's number after the last one taken */
    uint32_t windows, reports, fit_steps, reports_lost;
    uint32_t trained; /* windows, each as often as it was trained on */
};

/* model.c: the plan and the weights that serve */
bt_status bt_model_boot(bt_app *app);
bt_status bt_model_accept_plan(bt_app *app, const uint8_t *file, uint32_t length);
bt_status bt_model_accept_weights(bt_app *app, const uint8_t *file, uint32_t length);
/* `refine`: the same adaptation goes on, and roll back keeps leading to the weights before its first commit. */
bt_status bt_model_commit(bt_app *app, bool refine);
bt_status bt_model_discard(bt_app *app);
bt_status bt_model_roll_back(bt_app *app);
/* The weights before the last commit, as a file. */
bt_status bt_model_read_previous(bt_app *app, const uint8_t **file);
/* What storage holds for the active wearer serves; BT_NO_WEIGHTS when there is none for this plan. */
bt_status bt_model_serve_stored(bt_app *app);
/* As if no plan had ever come. */
void bt_model_forget(bt_app *app);
bool bt_has_room_to_tell(const bt_app *app);
/* The header of the candidate as it would be committed. */
void bt_model_candidate_header(bt_app *app, uint8_t out[BT_WEIGHTS_HEADER_BYTES]);
/* The weights before the last commit, into the candidate's place: only while that is free. */
bt_status bt_model_load_previous(bt_app *app);

/* trust.c: the site's keys, and who may change what runs */
void bt_trust_open(bt_app *app);
bool bt_has_keys(const bt_app *app);
/* A plan that has been opened: its number and the digest of its file, both for the state, and whether it may run. */
bt_status bt_trust_plan(const bt_app *app, const bt_plan *plan, uint32_t *number, uint8_t digest[BT_HASH_BYTES]);
/* Weights from outside, `block` behind them or NULL: signed, or those of the plan's signature, or of this device. */
bt_status bt_trust_weights(const bt_app *app, const uint8_t *file, uint32_t length, const uint8_t *block);
/* Put the device's own code, for the active wearer, into the header of weights; and is it there? */
void bt_trust_mark(const bt_app *app, uint8_t header[BT_WEIGHTS_HEADER_BYTES], const uint8_t *values, uint32_t bytes);
bool bt_trust_is_own(const bt_app *app, const uint8_t *header, const uint8_t *values, uint32_t bytes);
/* Counts it, and tells of each reason once. Returns `status`. */
bt_status bt_trust_refuse(bt_app *app, bt_refused what, bt_status status);
void bt_trust_list(const bt_app *app, bt_writer *w);
/* A set of keys; the first one with 32 bytes of chance behind it. */
bt_status bt_trust_take(bt_app *app, const uint8_t *bytes, uint32_t length);

/* wearers.c: whose weights serve; nothing of a person is left when it is erased */
bt_status bt_wearers_list(bt_app *app, bt_writer *w);
bt_status bt_wearers_choose(bt_app *app, bt_reader *r);
bt_status bt_wearers_erase(bt_app *app, bt_reader *r);
bt_status bt_wearers_factory_reset(bt_app *app, bt_reader *r);
/* At boot, before anything is read: an erasure that a power cut has interrupted goes on. */
bt_status bt_wearers_finish_erasing(bt_app *app);
/* Names the owner of the windows in the ring. */
uint32_t bt_wearers_owner(const bt_app *app);

/* fit_request.c: what may begin; fit.c: one run, a micro-batch at a time */
bt_status bt_fit_request(bt_app *app, const uint8_t *body, uint32_t length);
bt_status bt_fit_start(bt_app *app, bt_fit fit);
bt_status bt_fit_stop(bt_app *app);
void bt_fit_slice(bt_app *app);

/* evaluation.c: windows of the ring, one at a time */
bt_status bt_evaluation_request(bt_app *app, uint32_t request, const uint8_t *body, uint32_t length);
void bt_evaluation_slice(bt_app *app);
/* The windows that it points at may be about to go, or its weights. */
void bt_evaluation_abort(bt_app *app, bt_status status);

/* inference.c: a window arrives */
bt_status bt_infer_window(bt_app *app, const uint8_t *body, uint32_t length, bt_writer *report);
void bt_record_due(bt_app *app);

/* requests.c: what a frame asks for */
void bt_serve(bt_app *app, const bt_frame *frame);

/* news.c: what the wearable says by itself */
void bt_send_news(bt_app *app);

/* Write an event of the app's present state; its extra fields are filled in by the caller. */
bt_status bt_tell(bt_app *app, bt_event event);
/* Change the stored state and tell of it: neither is ever without the other after a power cut. */
bt_status bt_change(bt_app *app, bt_state next, bt_event event);
uint32_t bt_serving_version(const bt_app *app);

#endif
