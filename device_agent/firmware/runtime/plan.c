/* Reads and checks the parts of a plan file: header, sections, views. verify.c checks the program. */
#include "biotrain/plan.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "plan_format.h"
#include "verify.h"

static bt_status read_sections(bt_plan *plan) {
    const uint8_t *file = plan->file;
    const uint32_t end = bt_u32(file + BT_AT_SIGNED_LENGTH), count = bt_u32(file + BT_AT_SECTION_COUNT);
    if (count > BT_MAX_SECTIONS || end - BT_PLAN_HEADER_BYTES < count * BT_SECTION_BYTES) return BT_BAD_PLAN;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *section = file + BT_PLAN_HEADER_BYTES + i * BT_SECTION_BYTES;
        const uint32_t kind = bt_u32(section), offset = bt_u32(section + 4), length = bt_u32(section + 8);
        if (offset > end || length > end - offset || offset % 4 || offset < BT_PLAN_HEADER_BYTES) return BT_BAD_PLAN;
        const uint8_t *start = file + offset;
        if (kind == BT_SECTION_NAMES) {
            plan->names = start;
            plan->names_length = length;
        } else if (kind == BT_SECTION_VIEWS) {
            if (length % BT_VIEW_BYTES || length / BT_VIEW_BYTES >= 0xffff) return BT_BAD_PLAN;
            plan->views = start;
            plan->view_count = length / BT_VIEW_BYTES;
        } else if (kind == BT_SECTION_STRIDES) {
            if (length % BT_STRIDES_BYTES) return BT_BAD_PLAN;
            plan->strides = start;
            plan->strides_count = length / BT_STRIDES_BYTES;
        } else if (kind == BT_SECTION_CONSTANTS) {
            plan->constants = start;
            plan->constants_length = length;
        } else if (kind >= BT_SECTION_CODE && kind < BT_SECTION_CODE + (uint32_t)BT_ENTRY_COUNT) {
            if (length % 4) return BT_BAD_PLAN;
            plan->code[kind - BT_SECTION_CODE] = start;
            plan->code_words[kind - BT_SECTION_CODE] = length / 4;
        } else {
            return BT_BAD_PLAN;
        }
    }
    for (uint32_t entry = 0; entry < BT_ENTRY_COUNT; entry++)
        if (!plan->code_words[entry]) return BT_BAD_PLAN;
    return plan->views && plan->names ? BT_OK : BT_BAD_PLAN;
}

static bt_status read_header(bt_plan *plan) {
    const uint8_t *file = plan->file;
    memcpy(plan->model, file + BT_AT_MODEL, sizeof plan->model);
    if (plan->model[sizeof plan->model - 1] != 0) return BT_BAD_PLAN;
    plan->channels = bt_u32(file + BT_AT_CHANNELS);
    plan->samples = bt_u32(file + BT_AT_SAMPLES);
    plan->classes = bt_u32(file + BT_AT_CLASSES);
    const uint32_t rate = bt_u32(file + BT_AT_SAMPLING_RATE);
    memcpy(&plan->sampling_rate_hz, &rate, sizeof rate);
    if (plan->channels < 1 || plan->channels > BT_MAX_CHANNELS || plan->samples < 1 || plan->samples > 1u << 20 ||
        plan->classes < 2 || plan->classes > BT_MAX_CLASSES || !(plan->sampling_rate_hz > 0))
        return BT_BAD_PLAN;
    for (uint32_t r = 0; r < BT_REGION_COUNT; r++) {
        plan->region_bytes[r] = bt_u32(file + BT_AT_REGIONS + 4 * r);
        if (plan->region_bytes[r] > 1u << 28 || plan->region_bytes[r] % 4) return BT_BAD_PLAN;
    }
    plan->weights_bytes = plan->region_bytes[BT_REGION_WEIGHTS];
    plan->training_bytes = bt_u32(file + BT_AT_TRAINING_BYTES);
    plan->batch = bt_u32(file + BT_AT_BATCH);
    if (plan->batch == 1 || plan->batch > BT_MAX_BATCH) return BT_BAD_PLAN;
    if (!plan->batch) plan->batch = 1;
    plan->batch_view = bt_u32(file + BT_AT_BATCH_VIEW);
    plan->input_view = bt_u32(file + BT_AT_INPUT_VIEW);
    plan->logits_view = bt_u32(file + BT_AT_LOGITS_VIEW);
    plan->features_view = bt_u32(file + BT_AT_FEATURES_VIEW);
    plan->loss_view = bt_u32(file + BT_AT_LOSS_VIEW);
    return BT_OK;
}

/* The one kind of optimiser in *update*, behind the verifier. */
static bt_plan_optimizer find_optimizer(const bt_plan *plan) {
    bt_plan_optimizer found = BT_OPTIMIZER_OTHER;
    bt_instruction in;
    for (uint32_t at = 0;; at = in.next) {
        bt_plan_optimizer here = BT_OPTIMIZER_OTHER;
        if (!bt_decode(plan->code[BT_ENTRY_UPDATE], plan->code_words[BT_ENTRY_UPDATE], at, &in)) return found;
        if (in.code == BT_OP_END) return found;
        if (in.code == BT_NUMBER_sgd) here = BT_OPTIMIZER_SGD;
        if (in.code == BT_NUMBER_adam) here = in.immediate[0] ? BT_OPTIMIZER_ADAMW : BT_OPTIMIZER_ADAM;
        if (here != BT_OPTIMIZER_OTHER && found != BT_OPTIMIZER_OTHER && here != found) return BT_OPTIMIZER_OTHER;
        if (here != BT_OPTIMIZER_OTHER) found = here;
    }
}

/* From `from` up to `to` within the names; all of them where `from` is not there. */
static uint32_t digest_names(const bt_plan *plan, const char *from, const char *to) {
    const size_t first = strlen(from), last = strlen(to);
    uint32_t start = 0, end = plan->names_length;
    for (uint32_t i = 0; i + first <= plan->names_length && !start; i++)
        if (memcmp(plan->names + i, from, first) == 0) start = i + (uint32_t)first;
    for (uint32_t i = start; start && i + last <= plan->names_length && end == plan->names_length; i++)
        if (memcmp(plan->names + i, to, last) == 0) end = i;
    return bt_crc32(0, plan->names + start, end - start);
}

uint32_t bt_plan_layout(const bt_plan *plan) {
    const uint32_t shape[] = {plan->channels, plan->samples, plan->classes, plan->weights_bytes};
    uint32_t crc = digest_names(plan, "\"parameters\":[", "}]");
    crc = bt_crc32(crc, plan->constants, plan->constants_length);
    crc = bt_crc32(crc, plan->code[BT_ENTRY_PREPROCESS], 4 * plan->code_words[BT_ENTRY_PREPROCESS]);
    return bt_crc32(crc, (const uint8_t *)shape, sizeof shape);
}

bt_status bt_plan_open(bt_plan *plan, const uint8_t *file, uint32_t length) {
    memset(plan, 0, sizeof *plan);
    if ((uintptr_t)file & 3) return BT_BAD_ARGUMENT;
    if (length < BT_PLAN_HEADER_BYTES || memcmp(file, "BTPL", 4) != 0) return BT_BAD_MAGIC;
    if (bt_u16(file + BT_AT_VERSION) != BT_PLAN_MAJOR) return BT_BAD_VERSION;
    const uint32_t signed_length = bt_u32(file + BT_AT_SIGNED_LENGTH);
    const bool is_signed = length >= BT_PLAN_SIGNATURE_BYTES && signed_length == length - BT_PLAN_SIGNATURE_BYTES;
    if (bt_u32(file + BT_AT_LENGTH) != signed_length || (signed_length != length && !is_signed) ||
        signed_length < BT_PLAN_HEADER_BYTES || bt_u32(file + BT_AT_HEADER_BYTES) != BT_PLAN_HEADER_BYTES)
        return BT_BAD_LENGTH;
    const uint32_t front = bt_crc32(0, file, BT_AT_CRC);
    if (bt_crc32(front, file + 16, signed_length - 16) != bt_u32(file + BT_AT_CRC)) return BT_BAD_CRC;
    if (bt_u32(file + BT_AT_DEVICE_CLASS) != BT_DEVICE_CLASS) return BT_WRONG_CLASS;
    plan->file = file;
    plan->length = length;
    plan->signature = is_signed ? file + signed_length : NULL;
    bt_status status = read_header(plan);
    if (status == BT_OK) status = read_sections(plan);
    if (status == BT_OK && plan->region_bytes[BT_REGION_CONST] != plan->constants_length) status = BT_BAD_PLAN;
    if (status == BT_OK) status = bt_verify_program(plan);
    if (status == BT_OK) plan->optimizer = find_optimizer(plan);
    if (status == BT_OK) bt_sha256(file, signed_length, plan->hash);
    return status;
}
