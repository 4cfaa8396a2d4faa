/* The engine's life: place regions, infer, fit. */
#include "biotrain/engine.h"

#include "arithmetic.h"
#include "execute.h"

enum { ALIGNMENT = 16 };

static void *take(uint8_t *base, uint32_t size, uint32_t *used, uint32_t bytes) {
    const uint64_t rounded = ((uint64_t)bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!base || rounded > size - *used) return NULL;
    uint8_t *place = base + *used;
    *used += (uint32_t)rounded;
    return place;
}

void *bt_take_l1(bt_memory *m, uint32_t bytes) { return take(m->l1, m->l1_size, &m->l1_used, bytes); }
void *bt_take_l2(bt_memory *m, uint32_t bytes) { return take(m->l2, m->l2_size, &m->l2_used, bytes); }
void *bt_take_l3(bt_memory *m, uint32_t bytes) { return take(m->l3, m->l3_size, &m->l3_used, bytes); }

bt_status bt_engine_init(bt_engine *engine, const bt_plan *plan, bt_port *port, bt_memory *memory) {
    const bt_memory before = *memory;
    const uint32_t *bytes = plan->region_bytes;
    memset(engine, 0, sizeof *engine);
    engine->plan = plan;
    engine->port = port;
    engine->operations = bt_select_operations();
    engine->serving = bt_take_l2(memory, plan->weights_bytes);
    engine->candidate = bt_take_l2(memory, plan->weights_bytes);
    bool placed = engine->serving && engine->candidate;
    for (uint32_t r = BT_REGION_GRADIENTS; r < BT_REGION_COUNT && placed; r++) {
        engine->region[r] = r == BT_REGION_L1   ? bt_take_l1(memory, bytes[r])
                            : r == BT_REGION_L3 ? bt_take_l3(memory, bytes[r])
                                                : bt_take_l2(memory, bytes[r]);
        placed = engine->region[r] || !bytes[r];
        if (engine->region[r]) memset(engine->region[r], 0, bytes[r]);
    }
    if (!placed) {
        *memory = before;
        return BT_NO_MEMORY;
    }
    /* constants are only read: the verifier refuses a plan that writes them */
    engine->region[BT_REGION_CONST] = (uint8_t *)(uintptr_t)plan->constants;
    memset(engine->serving, 0, plan->weights_bytes);
    engine->resident_bytes = plan->weights_bytes + plan->length + (uint32_t)sizeof *engine + (uint32_t)sizeof *plan;
    return BT_OK;
}

uint8_t *bt_engine_weights(bt_engine *engine, bt_bank bank) {
    return (uint8_t *)(bank == BT_BANK_SERVING ? engine->serving : engine->candidate);
}

static void run_entry(bt_engine *engine, bt_entry entry, bt_bank bank, const bt_run *run) {
    engine->region[BT_REGION_WEIGHTS] = bt_engine_weights(engine, bank);
    bt_run counted = *run;
    counted.cores = bt_port_cores(engine->port);
    counted.touched = engine->counted >> entry & 1 ? NULL : engine->touched;
    engine->counted |= 1u << entry;
    counted.spent = engine->spent;
    bt_execute(engine->plan, entry, engine->region, engine->operations, &counted);
}

uint32_t bt_engine_training_bytes(const bt_engine *engine) {
    uint32_t sum = 0;
    for (uint32_t r = BT_REGION_WEIGHTS; r < BT_REGION_COUNT; r++) sum += engine->touched[r];
    return engine->steps ? sum : engine->plan->training_bytes;
}

static void describe(const bt_engine *engine, bt_prediction *out) {
    const bt_plan *plan = engine->plan;
    const float *logits = bt_locate(plan, plan->logits_view, engine->region).data;
    float top = logits[0], sum = 0.0f, second = 0.0f;
    out->classes = plan->classes;
    out->predicted = 0;
    for (uint32_t c = 1; c < plan->classes; c++)
        if (logits[c] > top) {
            top = logits[c];
            out->predicted = c;
        }
    for (uint32_t c = 0; c < plan->classes; c++) {
        out->probabilities[c] = bt_expf(logits[c] - top);
        sum += out->probabilities[c];
    }
    out->entropy = 0.0f;
    for (uint32_t c = 0; c < plan->classes; c++) {
        float *p = &out->probabilities[c];
        *p /= sum;
        if (c != out->predicted && *p > second) second = *p;
        if (*p > 0.0f) out->entropy -= *p * bt_logf(*p);
    }
    if (out->entropy < 0.0f) out->entropy = 0.0f;
    out->margin = out->probabilities[out->predicted] - second;
    out->feature_count = 0;
    if (plan->features_view == UINT32_MAX) return;
    const bt_tensor features = bt_locate(plan, plan->features_view, engine->region);
    if (features.of->count > BT_MAX_FEATURES) return;
    out->feature_count = features.of->count;
    memcpy(out->features, features.data, features.of->count * sizeof *features.data);
}

bt_status bt_engine_infer(bt_engine *engine, bt_bank bank, bt_window window, bt_prediction *out) {
    const bt_run run = {.port = engine->port, .window = window};
    run_entry(engine, BT_ENTRY_PREPROCESS, bank, &run);
    run_entry(engine, BT_ENTRY_INFER, bank, &run);
    describe(engine, out);
    /* NaN fails every comparison: a network that has gone wrong is not passed on as a confident one */
    return out->margin >= 0.0f && out->entropy >= 0.0f ? BT_OK : BT_NOT_FINITE;
}

bt_status bt_fit_begin(bt_engine *engine) {
    const uint32_t *bytes = engine->plan->region_bytes;
    memcpy(engine->candidate, engine->serving, engine->plan->weights_bytes);
    if (bytes[BT_REGION_GRADIENTS]) memset(engine->region[BT_REGION_GRADIENTS], 0, bytes[BT_REGION_GRADIENTS]);
    if (bytes[BT_REGION_OPTIMIZER]) memset(engine->region[BT_REGION_OPTIMIZER], 0, bytes[BT_REGION_OPTIMIZER]);
    engine->steps = engine->samples = engine->samples_seen = 0;
    engine->weight = engine->adam_1 = engine->adam_2 = 0.0f;
    return BT_OK;
}

bt_status bt_fit_sample(bt_engine *engine, bt_window window, uint32_t label, float *loss) {
    if (engine->plan->batch != 1) return BT_UNSUPPORTED;
    if (label >= engine->plan->classes) return BT_BAD_ARGUMENT;
    const bt_run run = {
        .port = engine->port,
        .window = window,
        .label = label,
        .dropout_key = bt_window_key(engine->dropout_seed, engine->samples_seen),
    };
    run_entry(engine, BT_ENTRY_PREPROCESS, BT_BANK_CANDIDATE, &run);
    run_entry(engine, BT_ENTRY_TRAIN, BT_BANK_CANDIDATE, &run);
    engine->samples++;
    engine->samples_seen++;
    const bt_tensor losses = bt_locate(engine->plan, engine->plan->loss_view, engine->region);
    *loss = losses.data[0];
    engine->weight += losses.of->count > 1 ? losses.data[1] : 1.0f;
    return isfinite(*loss) ? BT_OK : BT_NOT_FINITE;
}

/* Preprocess a batch's windows into the place where *train* finds them. */
static void prepare_batch(bt_engine *engine, const bt_window *windows, bt_fault *fault) {
    const bt_tensor input = bt_locate(engine->plan, engine->plan->input_view, engine->region);
    const bt_tensor inputs = bt_locate(engine->plan, engine->plan->batch_view, engine->region);
    for (uint32_t b = 0; b < engine->plan->batch; b++) {
        const bt_run preparing = {.port = engine->port, .window = windows[b], .fault = fault};
        run_entry(engine, BT_ENTRY_PREPROCESS, BT_BANK_CANDIDATE, &preparing);
        memmove(inputs.data + b * input.of->count, input.data, input.of->count * sizeof(float));
    }
}

static bool are_classes(const bt_plan *plan, const uint32_t *labels) {
    for (uint32_t b = 0; b < plan->batch; b++)
        if (labels[b] >= plan->classes) return false;
    return true;
}

bt_status bt_fit_batch(bt_engine *engine, const bt_window *windows, const uint32_t *labels, float *loss) {
    const bt_plan *plan = engine->plan;
    if (plan->batch < 2) return BT_UNSUPPORTED;
    if (!are_classes(plan, labels)) return BT_BAD_ARGUMENT;
    prepare_batch(engine, windows, NULL);
    const bt_run run = {
        .port = engine->port,
        .window = windows[0],
        .labels = labels,
        .dropout_seed = engine->dropout_seed,
        .first_window = engine->samples_seen,
    };
    run_entry(engine, BT_ENTRY_TRAIN, BT_BANK_CANDIDATE, &run);
    const bt_tensor losses = bt_locate(plan, plan->loss_view, engine->region);
    const uint32_t step = losses.of->count / plan->batch;
    float sum = 0.0f, weight = 0.0f;
    for (uint32_t b = 0; b < plan->batch; b++) {
        sum += losses.data[b * step];
        weight += step > 1 ? losses.data[b * step + 1] : 1.0f;
    }
    engine->samples += plan->batch;
    engine->samples_seen += plan->batch;
    engine->weight += weight;
    *loss = sum / weight;
    return isfinite(*loss) ? BT_OK : BT_NOT_FINITE;
}

bt_status bt_fit_find_fault(bt_engine *engine, const bt_window *windows, const uint32_t *labels,
                            uint32_t *weights_offset) {
    const uint32_t batch = engine->plan->batch;
    bt_fault fault = {.found = false, .weights_offset = UINT32_MAX};
    if (!are_classes(engine->plan, labels)) return BT_BAD_ARGUMENT;
    /* the dropout masks are those of the run that failed, which has counted its windows */
    const uint32_t first = engine->samples_seen >= batch ? engine->samples_seen - batch : 0;
    const bt_run run = {
        .port = engine->port,
        .window = windows[0],
        .label = labels[0],
        .dropout_key = bt_window_key(engine->dropout_seed, first),
        .labels = labels,
        .dropout_seed = engine->dropout_seed,
        .first_window = first,
        .fault = &fault,
    };
    if (batch == 1)
        run_entry(engine, BT_ENTRY_PREPROCESS, BT_BANK_CANDIDATE, &run);
    else
        prepare_batch(engine, windows, &fault);
    run_entry(engine, BT_ENTRY_TRAIN, BT_BANK_CANDIDATE, &run);
    *weights_offset = fault.weights_offset;
    return fault.found ? BT_OK : BT_WRONG_STATE;
}

uint32_t bt_fit_sick_weight(const bt_engine *engine) {
    for (uint32_t i = 0; i < engine->plan->weights_bytes / 4; i++)
        if (!isfinite(engine->candidate[i])) return 4 * i;
    return UINT32_MAX;
}

/* What the accumulated gradients are multiplied by: 1 / windows, and less where their norm is above `most`. The norm's
 * squares are summed in eight lanes over all trained values; 1e-6 as in torch. */
static float gradient_scale(const bt_engine *engine, float most_norm) {
    const float mean = 1.0f / engine->weight;
    if (!(most_norm > 0.0f)) return mean;
    const float *gradients = (const float *)(const void *)engine->region[BT_REGION_GRADIENTS];
    const float squares = bt_dot(gradients, gradients, engine->plan->region_bytes[BT_REGION_GRADIENTS] / 4);
    const float part = most_norm / (sqrtf(squares) * mean + 1e-6f);
    return part < 1.0f || isnan(part) ? mean * part : mean;
}

static float or_default(float value, float otherwise) { return value > 0.0f ? value : otherwise; }

bt_status bt_fit_step(bt_engine *engine, bt_optimizer optimizer) {
    if (!engine->samples) return BT_WRONG_STATE;
    optimizer.beta_1 = or_default(optimizer.beta_1, 0.9f);
    optimizer.beta_2 = or_default(optimizer.beta_2, 0.999f);
    optimizer.epsilon = or_default(optimizer.epsilon, 1e-8f);
    if (!(optimizer.beta_1 < 1.0f && optimizer.beta_2 < 1.0f)) return BT_BAD_ARGUMENT;
    /* 1 - beta^t without a power: q(t) = beta q(t-1) + (1 - beta) */
    engine->adam_1 = fmaf(optimizer.beta_1, engine->adam_1, 1.0f - optimizer.beta_1);
    engine->adam_2 = fmaf(optimizer.beta_2, engine->adam_2, 1.0f - optimizer.beta_2);
    const bt_run run = {
        .port = engine->port,
        .optimizer = optimizer,
        .gradient_scale = gradient_scale(engine, optimizer.clip_norm),
        .adam_1 = engine->adam_1,
        .adam_2 = engine->adam_2,
    };
    if (!isfinite(run.gradient_scale)) return BT_NOT_FINITE;
    run_entry(engine, BT_ENTRY_UPDATE, BT_BANK_CANDIDATE, &run);
    memset(engine->region[BT_REGION_GRADIENTS], 0, engine->plan->region_bytes[BT_REGION_GRADIENTS]);
    engine->samples = 0;
    engine->weight = 0.0f;
    engine->steps++;
    return BT_OK;
}

void bt_engine_promote(bt_engine *engine) { memcpy(engine->serving, engine->candidate, engine->plan->weights_bytes); }
