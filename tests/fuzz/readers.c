/* What a stranger could send: plans and weights whose checksums are right and whose content is anything.
 * A plan that is accepted is also run: inference, one training window, one step, in memory of exactly its size, so that
 * the sanitizers see any step outside. Built with -DBT_MAX_WORK small, or accepted plans could take their hours. */
#include <stdlib.h>
#include <string.h>

#include "biotrain/engine.h"
#include "bytes.h"
#include "plan_format.h"
#include "../trust/trust.h"

void bt_port_parallel(bt_port *port, bt_piece piece, void *arg, uint32_t count) {
    (void)port;
    for (uint32_t i = 0; i < count; i++) piece(arg, i);
}
uint32_t bt_port_cores(bt_port *port) {
    (void)port;
    return 1;
}
void bt_port_copy_start(bt_port *port, void *to, const void *from, uint32_t bytes) {
    (void)port;
    memmove(to, from, bytes);
}
void bt_port_copy_rows(bt_port *port, void *to, const void *from, uint32_t rows, uint32_t bytes, uint32_t pitch) {
    (void)port;
    for (uint32_t r = 0; r < rows; r++) memmove((char *)to + r * bytes, (const char *)from + (size_t)r * pitch, bytes);
}
void bt_port_copy_wait(bt_port *port) { (void)port; }
uint64_t bt_port_instructions(bt_port *port) {
    (void)port;
    return 0;
}

static void run_plan(const bt_plan *plan) {
    uint64_t total = 0;
    for (uint32_t r = 0; r < BT_REGION_COUNT; r++) total += plan->region_bytes[r];
    if (total > 1u << 20) return; /* the device's memory is small, too */
    bt_memory memory = {.l1_size = 1u << 20, .l2_size = 1u << 22, .l3_size = 1u << 20};
    memory.l1 = malloc(memory.l1_size), memory.l2 = malloc(memory.l2_size), memory.l3 = malloc(memory.l3_size);
    bt_engine engine;
    if (bt_engine_init(&engine, plan, NULL, &memory) == BT_OK) {
        for (uint32_t r = BT_REGION_GRADIENTS; r < BT_REGION_COUNT; r++)
            engine.region[r] = calloc(plan->region_bytes[r] ? plan->region_bytes[r] : 1, 1);
        engine.serving = calloc(plan->weights_bytes + 1u, 1);
        engine.candidate = calloc(plan->weights_bytes + 1u, 1);
        int16_t *counts = calloc((size_t)plan->channels * plan->samples, sizeof *counts);
        float *scale = calloc(plan->channels, sizeof *scale), loss;
        counts[0] = 1000, scale[0] = 1.0f;
        const bt_window window = {counts, scale};
        bt_prediction prediction;
        bt_engine_infer(&engine, BT_BANK_SERVING, window, &prediction);
        bt_fit_begin(&engine);
        bt_window *windows = calloc(plan->batch, sizeof *windows);
        uint32_t *labels = calloc(plan->batch, sizeof *labels);
        for (uint32_t b = 0; b < plan->batch; b++) windows[b] = window, labels[b] = plan->classes - 1;
        uint32_t offset;
        if (plan->batch > 1) bt_fit_batch(&engine, windows, labels, &loss);
        else bt_fit_sample(&engine, window, labels[0], &loss);
        bt_fit_find_fault(&engine, windows, labels, &offset);
        free(windows), free(labels);
        bt_fit_step(&engine, (bt_optimizer){.learning_rate = 0.1f, .momentum = 0.9f, .clip_norm = 1.0f});
        for (uint32_t r = BT_REGION_GRADIENTS; r < BT_REGION_COUNT; r++) free(engine.region[r]);
        free(engine.serving), free(engine.candidate), free(counts), free(scale);
    }
    free(memory.l1), free(memory.l2), free(memory.l3);
}

static void read_weights(uint8_t *file, uint32_t length) {
    bt_plan plan = {.weights_bytes = length > BT_WEIGHTS_HEADER_BYTES ? length - BT_WEIGHTS_HEADER_BYTES : 0};
    bt_weights_header header;
    if (length >= BT_WEIGHTS_HEADER_BYTES) {
        memcpy(plan.hash, file + 16, BT_HASH_BYTES);
        bt_put_u32(file + 12, bt_crc32(0, file + 16, length - 16));
    }
    bt_weights_open(&header, &plan, file, length);
}

static void read_plan(uint8_t *file, uint32_t length) {
    bt_plan plan;
    if (length >= BT_PLAN_HEADER_BYTES) {
        const uint32_t end = bt_u32(file + BT_AT_SIGNED_LENGTH);
        bt_put_u32(file + BT_AT_LENGTH, length);
        if (end > 16 && end <= length)
            bt_put_u32(file + BT_AT_CRC, bt_crc32(bt_crc32(0, file, BT_AT_CRC), file + 16, end - 16));
    }
    if (bt_plan_open(&plan, file, length) == BT_OK) run_plan(&plan);
}

/* A signature behind its digest, under keys that are there: whatever the bytes, it ends, and nothing random fits. */
static void read_signature(const uint8_t *file, uint32_t length) {
    bt_key_set keys = {.number = 1, .count = 1}, none = {0}, out;
    bt_signature signature;
    bt_key_set_open(&out, &none, file, length);
    bt_key_set_open(&out, &keys, file, length);
    if (length < BT_SIGNATURE_BYTES + 64) return;
    memcpy(keys.key[0], file + BT_SIGNATURE_BYTES, BT_KEY_BYTES);
    uint8_t block[BT_SIGNATURE_BYTES];
    memcpy(block, file, sizeof block);
    memcpy(block, "BTSG", 4);
    bt_key_id(keys.key[0], block + 16);
    bt_signature_open(&signature, &keys, BT_SIGNED_PLAN, file + BT_SIGNATURE_BYTES + BT_KEY_BYTES, block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1u << 20) return 0;
    uint8_t *file = malloc(size ? size : 1); /* of exactly this size: reading past its end is seen */
    if (!file) return 0;
    memcpy(file, data, size);
    if (size >= 4 && memcmp(file, "BTWT", 4) == 0) read_weights(file, (uint32_t)size);
    else if (size >= 4 && (memcmp(file, "BTKS", 4) == 0 || memcmp(file, "BTSG", 4) == 0)) read_signature(file, (uint32_t)size);
    else read_plan(file, (uint32_t)size);
    free(file);
    return 0;
}
