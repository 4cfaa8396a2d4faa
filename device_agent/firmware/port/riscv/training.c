/* Training alone, as an image of its own: the same engine and kernels as the wearable's, on windows from a file, with
 * each window's and each step's instructions counted. Reads plan, weights, recording and training (u32 batch, steps,
 * schedule, dropout seed; then bt_optimizer's fields) and writes result: for each step, first for each run of the plan's
 * training program its loss f32 and its count, then the count of the step itself; at last the weights and, with the
 * argument `each`, the instructions u64 of each operation, by number. A count is the
 * instructions u64 and, with the argument `cluster`, what a cluster of that many cores would share: instructions u64 of
 * all pieces, u64 of the busiest core in each round, u64 rounds. */
#include <string.h>

#include "../../app/window.h"
#include "../../protocol/wire.h"
#include "board.h"
#include "operation.h"
#include "riscv.h"
#include "semihosting.h"

enum { SETTINGS_BYTES = 48, HEADER_BYTES = 32, COUNT_BYTES = 32, RECORD_BYTES = 4 + COUNT_BYTES, MOST_BATCH = 64, CANNOT = 2 };

typedef struct settings {
    uint32_t batch, steps, seed;
    bt_schedule schedule;
    bt_optimizer optimizer;
} settings;

/* All that a run has; files lie in L3. */
typedef struct training {
    bt_port port;
    bt_memory memory;
    bt_plan plan;
    bt_engine engine;
    settings settings;
    const uint8_t *windows; /* of the recording: label i32, scale, counts */
    uint32_t count, next;
    int result;
    uint64_t spent[BT_TABLE_SIZE];
} training;

int main(void);

static _Noreturn void refuse(const char *what, bt_status status) {
    char line[160] = "biotrain-training: ";
    strncat(line, what, 100);
    if (status != BT_OK) strncat(line, bt_status_name(status) + 3, 40);
    bt_complain(line);
    bt_exit(CANNOT);
}

static uint8_t *load(training *t, const char *name, uint32_t *length) {
    const int file = bt_file_open(name, BT_READ);
    const int32_t bytes = file < 0 ? -1 : bt_file_length(file);
    uint8_t *to = bytes > 0 ? bt_take_l3(&t->memory, (uint32_t)bytes) : NULL;
    if (!to || !bt_file_read(file, 0, to, (uint32_t)bytes)) {
        bt_complain(name);
        refuse("that file is missing, or larger than L3", BT_OK);
    }
    bt_file_close(file);
    *length = (uint32_t)bytes;
    return to;
}

static void check(const char *what, bt_status status) {
    if (status != BT_OK) refuse(what, status);
}

static void read_settings(training *t) {
    settings *s = &t->settings;
    uint32_t length;
    const uint8_t *bytes = load(t, "training", &length);
    if (length != SETTINGS_BYTES) refuse("training: wrong length", BT_OK);
    bt_reader r = {.at = bytes, .left = length};
    s->batch = bt_read_u32(&r);
    s->steps = bt_read_u32(&r);
    s->schedule = bt_read_u32(&r) ? BT_SCHEDULE_COSINE : BT_SCHEDULE_CONSTANT;
    s->seed = bt_read_u32(&r);
    s->optimizer.learning_rate = bt_read_f32(&r);
    s->optimizer.momentum = bt_read_f32(&r);
    s->optimizer.weight_decay = bt_read_f32(&r);
    s->optimizer.nesterov = bt_read_u32(&r);
    s->optimizer.beta_1 = bt_read_f32(&r);
    s->optimizer.beta_2 = bt_read_f32(&r);
    s->optimizer.epsilon = bt_read_f32(&r);
    s->optimizer.clip_norm = bt_read_f32(&r);
}

static void tell(training *t, const uint8_t *bytes, uint32_t count) {
    if (!bt_file_append(t->result, bytes, count)) refuse("result cannot be written", BT_OK);
}

/* Window `index` of the recording, and its label. */
static uint32_t window_at(const training *t, uint32_t index, bt_window *window) {
    const uint32_t channels = t->plan.channels, bytes = 4 + 4 * channels + 2 * channels * t->plan.samples;
    const uint8_t *at = t->windows + (size_t)index * bytes;
    bt_reader r = {.at = at, .left = 4};
    window->scale = (const float *)(const void *)(at + 4);
    window->counts = (const int16_t *)(const void *)(at + 4 + 4 * channels);
    return bt_read_u32(&r);
}

static void begin_count(training *t, uint64_t *before) {
    t->port.cluster.inside = t->port.cluster.longest = t->port.cluster.rounds = 0;
    *before = bt_port_instructions(&t->port);
}

static void end_count(training *t, uint64_t before, bt_writer *w) {
    const uint64_t path = bt_port_instructions(&t->port) - before;
    bt_write_u64(w, path + t->port.cluster.inside - t->port.cluster.longest);
    bt_write_u64(w, t->port.cluster.inside);
    bt_write_u64(w, t->port.cluster.longest);
    bt_write_u64(w, t->port.cluster.rounds);
}

/* One run of the plan's training program: over one window, or over a whole batch where its norm needs that. */
static void train_once(training *t) {
    bt_window windows[MOST_BATCH];
    uint32_t labels[MOST_BATCH];
    uint8_t record[RECORD_BYTES];
    bt_writer w = {.start = record, .most = sizeof record};
    uint64_t before;
    float loss;
    for (uint32_t b = 0; b < t->plan.batch; b++, t->next = (t->next + 1) % t->count)
        labels[b] = window_at(t, t->next, &windows[b]);
    begin_count(t, &before);
    const bt_status status = t->plan.batch == 1 ? bt_fit_sample(&t->engine, windows[0], labels[0], &loss)
                                                : bt_fit_batch(&t->engine, windows, labels, &loss);
    bt_write_f32(&w, loss);
    end_count(t, before, &w);
    check("a window: ", status);
    tell(t, record, w.length);
}

static void train(training *t) {
    const settings *s = &t->settings;
    if (!t->plan.batch || t->plan.batch > MOST_BATCH || s->batch % t->plan.batch)
        refuse("the batch is no multiple of the plan's", BT_OK);
    t->engine.dropout_seed = s->seed;
    check("beginning: ", bt_fit_begin(&t->engine));
    for (uint32_t step = 0; step < s->steps; step++) {
        uint8_t record[COUNT_BYTES];
        bt_writer w = {.start = record, .most = sizeof record};
        bt_optimizer optimizer = s->optimizer;
        for (uint32_t i = 0; i < s->batch; i += t->plan.batch) train_once(t);
        optimizer.learning_rate = bt_scheduled_rate(s->schedule, optimizer.learning_rate, 0, step, s->steps);
        uint64_t before;
        begin_count(t, &before);
        check("a step: ", bt_fit_step(&t->engine, optimizer));
        end_count(t, before, &w);
        tell(t, record, w.length);
    }
    tell(t, bt_engine_weights(&t->engine, BT_BANK_CANDIDATE), t->plan.weights_bytes);
    if (t->engine.spent) tell(t, (const uint8_t *)t->spent, sizeof t->spent);
}

int main(void) {
    static training t;
    uint32_t plan_length, length;
    bt_weights_header header;
    t.port = (bt_port){.cores = bt_argument("cores", 1), .storage = -1, .event_log = -1, .source = {.file = -1}};
    t.port.cluster.cores = bt_argument("cluster", 0);
    if (t.port.cluster.cores > BT_MOST_CORES) refuse("cluster: more cores than there are", BT_OK);
    bt_riscv_memory(&t.memory);
    const uint8_t *plan = load(&t, "plan", &plan_length);
    check("plan: ", bt_plan_open(&t.plan, plan, plan_length));
    check("plan: ", bt_engine_init(&t.engine, &t.plan, &t.port, &t.memory));
    if (bt_argument("each", 0)) t.engine.spent = t.spent;
    const uint8_t *weights = load(&t, "weights", &length);
    check("weights: ", bt_weights_open(&header, &t.plan, weights, length));
    memcpy(bt_engine_weights(&t.engine, BT_BANK_SERVING), weights + BT_WEIGHTS_HEADER_BYTES, t.plan.weights_bytes);
    read_settings(&t);
    const uint8_t *recording = load(&t, "recording", &length);
    bt_reader r = {.at = recording + 8, .left = HEADER_BYTES - 8};
    const uint32_t channels = bt_read_u32(&r), samples = bt_read_u32(&r);
    t.count = bt_read_u32(&r);
    t.windows = recording + HEADER_BYTES;
    if (channels != t.plan.channels || samples != t.plan.samples || !t.count)
        refuse("recording: its windows are not the plan's", BT_OK);
    t.result = bt_file_open("result", BT_WRITE);
    train(&t);
    bt_exit(0);
}
