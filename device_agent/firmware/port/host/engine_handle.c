/* The engine alone, for tests, evaluation and benchmarks on the host: one handle owns plan, memory and engine. */
#include <stdlib.h>
#include <string.h>

#include "biotrain/engine.h"
#include "operation.h"

typedef struct bt_handle {
    bt_plan plan;
    bt_engine engine;
    bt_memory memory;
    uint8_t *file;
} bt_handle;

void bt_handle_close(bt_handle *handle) {
    if (!handle) return;
    free(handle->file);
    free(handle->memory.l1);
    free(handle->memory.l2);
    free(handle->memory.l3);
    free(handle);
}

bt_handle *bt_handle_open(const uint8_t *file, uint32_t length, uint32_t l1, uint32_t l2, uint32_t l3,
                          bt_status *status) {
    bt_handle *handle = calloc(1, sizeof *handle);
    if (!handle) return NULL;
    handle->file = malloc(length ? length : 1);
    handle->memory = (bt_memory){.l1 = malloc(l1), .l2 = malloc(l2), .l3 = malloc(l3), .l1_size = l1, .l2_size = l2,
                                 .l3_size = l3};
    *status = handle->file && handle->memory.l1 && handle->memory.l2 && handle->memory.l3 ? BT_OK : BT_NO_MEMORY;
    if (*status == BT_OK) {
        memcpy(handle->file, file, length);
        *status = bt_plan_open(&handle->plan, handle->file, length);
    }
    if (*status == BT_OK) *status = bt_engine_init(&handle->engine, &handle->plan, NULL, &handle->memory);
    if (*status == BT_OK) return handle;
    bt_handle_close(handle);
    return NULL;
}

bt_engine *bt_handle_engine(bt_handle *handle) { return &handle->engine; }
const bt_plan *bt_handle_plan(const bt_handle *handle) { return &handle->plan; }
uint32_t bt_handle_l2_used(const bt_handle *handle) { return handle->memory.l2_used; }
uint8_t *bt_handle_region(bt_handle *handle, uint32_t region) { return handle->engine.region[region]; }
uint32_t bt_handle_region_bytes(const bt_handle *handle, uint32_t region) { return handle->plan.region_bytes[region]; }
const uint8_t *bt_handle_hash(const bt_handle *handle) { return handle->plan.hash; }
void bt_handle_seed(bt_handle *handle, uint32_t seed) { handle->engine.dropout_seed = seed; }

/* Use one set of kernels, whichever would be chosen: all of them give the same bits. "base" runs everywhere, "plain" has
 * the loops that the others are compared with. False where there is no such set, or this processor cannot run it. */
bool bt_handle_use_kernels(bt_handle *handle, const char *name) {
    const bt_operation *operations = NULL;
    if (!strcmp(name, "plain")) operations = bt_operations_plain;
    if (!strcmp(name, "base")) operations = bt_operations_base;
#if defined(__x86_64__)
    if (!strcmp(name, "v3") && bt_has_v3()) operations = bt_operations_v3;
    if (!strcmp(name, "v4") && bt_has_v4()) operations = bt_operations_v4;
#endif
    if (operations) handle->engine.operations = operations;
    return operations;
}

/* A whole optimiser step in one call, so that a benchmark times the engine and not its caller. */
bt_status bt_handle_train(bt_handle *handle, const bt_window *windows, const uint32_t *labels, uint32_t count,
                          bt_optimizer optimizer, float *loss) {
    bt_status status = BT_OK;
    if (handle->plan.batch > 1) {
        if (count != handle->plan.batch) return BT_BAD_ARGUMENT;
        status = bt_fit_batch(&handle->engine, windows, labels, loss);
    } else {
        float sum = 0.0f;
        for (uint32_t i = 0; i < count && status == BT_OK; i++) {
            status = bt_fit_sample(&handle->engine, windows[i], labels[i], loss);
            sum += *loss;
        }
        *loss = sum / (float)count;
    }
    return status == BT_OK ? bt_fit_step(&handle->engine, optimizer) : status;
}
