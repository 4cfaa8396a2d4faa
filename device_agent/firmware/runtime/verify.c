/* Walks every entry of a plan once, before anything runs. */
#include "verify.h"

#include "bytes.h"
#include "plan_format.h"

/* More instructions than this in one run of an entry is no training step but a plan gone wrong. */
enum { BT_MAX_INSTRUCTIONS_RUN = 1 << 22 };

/* More element by element steps than this in one run of an entry would keep a device busy for hours. */
#ifndef BT_MAX_WORK
#define BT_MAX_WORK 1000000000000u
#endif

bool bt_decode(const uint8_t *code, uint32_t words, uint32_t at, bt_instruction *out) {
    if (at >= words) return false;
    const uint32_t head = bt_u32(code + 4 * at);
    out->code = head & 0xff;
    out->views = (head >> 8) & 0xff;
    out->immediates = (head >> 16) & 0xff;
    const uint32_t view_words = (out->views + 1) / 2;
    if (head >> 24 || out->views > BT_MAX_VIEWS || out->immediates > BT_MAX_IMMEDIATES) return false;
    if (words - at - 1 < view_words + out->immediates) return false;
    const uint8_t *p = code + 4 * (at + 1);
    for (uint32_t i = 0; i < out->views; i++) out->view[i] = bt_u16(p + 2 * i);
    for (uint32_t i = 0; i < out->immediates; i++) out->immediate[i] = bt_u32(p + 4 * (view_words + i));
    out->next = at + 1 + view_words + out->immediates;
    return true;
}

static uint32_t width_of(const bt_tensor *t) { return bt_type_of(t) == BT_F32 ? 4 : 2; }

bool bt_read_view(const bt_plan *plan, uint32_t index, bt_tensor *out, uint32_t stride[BT_MAX_LOOPS]) {
    *out = (bt_tensor){NULL, &bt_no_view};
    if (index == BT_NO_VIEW) return true;
    if (index >= plan->view_count) return false;
    const bt_view *of = bt_view_at(plan, index);
    out->of = of;
    if (bt_region_of(out) >= BT_REGION_COUNT || bt_type_of(out) >= BT_TYPES || of->strides > plan->strides_count ||
        of->rank < 1 || of->rank > BT_MAX_RANK)
        return false;
    uint64_t count = 1;
    for (uint32_t i = 0; i < BT_MAX_RANK; i++) {
        const uint32_t dim = of->dims[i];
        stride[i] = of->strides ? bt_u32(plan->strides + (of->strides - 1) * BT_STRIDES_BYTES + 4 * i) : 0;
        if (i >= of->rank && dim != 1) return false;
        if (dim < 1 || dim > 1u << 24) return false;
        count *= dim;
        if (count > 1u << 26) return false;
    }
    return count == of->count && of->offset % width_of(out) == 0;
}

/* The view stays inside its region in every iteration of the loops around it. */
static bool view_fits(const bt_plan *plan, const bt_tensor *t, const uint32_t stride[BT_MAX_LOOPS],
                      const uint32_t *counts, uint32_t depth) {
    uint64_t end = (uint64_t)t->of->offset + (uint64_t)width_of(t) * t->of->count;
    for (uint32_t d = 0; d < depth; d++) {
        const uint32_t by = stride[d] & ~BT_TURNS, most = stride[d] & BT_TURNS && counts[d] > 2 ? 2 : counts[d];
        if (by % width_of(t)) return false;
        end += (uint64_t)by * (most - 1);
    }
    return end <= plan->region_bytes[bt_region_of(t)];
}

static bool may_write(uint32_t entry, uint32_t region) {
    if (region == BT_REGION_CONST) return false;
    return region != BT_REGION_WEIGHTS || entry == BT_ENTRY_UPDATE;
}

/* About how many steps an operation takes: once over its operands, times what each output gathers. */
static uint64_t work_of(const bt_instruction *in, const bt_tensor *view) {
    uint64_t once = 1, outputs = 0, gathered = 0;
    for (uint32_t v = 0; v < in->views; v++) once += view[v].of->count;
    switch (in->code) {
        case 11: outputs = view[2].of->count, gathered = view[1].of->dims[1]; break;                    /* mix_channels */
        case 16: case 86: outputs = view[3].of->count, gathered = view[1].of->count / view[1].of->dims[0]; break;    /* conv2d */
        case 17: case 87: outputs = view[1].of->count, gathered = view[2].of->count / view[2].of->dims[0]; break;
        case 18: outputs = view[0].of->count, gathered = view[1].of->count / view[1].of->dims[0]; break;
        case 19: outputs = view[3].of->count, gathered = view[1].of->dims[1]; break;                    /* linear */
        case 20: outputs = view[1].of->count, gathered = (uint64_t)view[2].of->dims[1] + view[3].of->dims[1]; break;
        case 28: case 30: case 54: case 56:                                                     /* pools */
            outputs = view[1].of->count, gathered = (uint64_t)in->immediate[0] * in->immediate[1]; break;
        case 29: case 31: case 55: case 57:
            outputs = view[0].of->count, gathered = (uint64_t)in->immediate[0] * in->immediate[1]; break;
        case 71: outputs = view[2].of->count, gathered = view[0].of->count; break;                      /* tap_covariance */
        case 72: outputs = view[0].of->count, gathered = view[2].of->count; break;                      /* its use */
        case 73: outputs = view[3].of->count, gathered = (uint64_t)in->immediate[0] * in->immediate[1]; break;
        default: break;
    }
    if (outputs && gathered > UINT64_MAX / 2 / outputs) return UINT64_MAX / 2;
    return once + outputs * gathered;
}

/* The type that an operand must have: float32 but for those that a few operations narrow or widen. */
static uint32_t type_of(uint32_t code, uint32_t view) {
    if ((code == BT_NUMBER_narrow_bf16 && view == 1) || (code == BT_NUMBER_widen_bf16 && view == 0)) return BT_BF16;
    if ((code == BT_NUMBER_narrow_counts && view == 2) || (code == BT_NUMBER_widen_counts && view == 0)) return BT_I16;
    return BT_F32;
}

/* Whether an instruction may run; adds its work, `times` over, to `total`. */
static bool check_kernel(const bt_plan *plan, uint32_t entry, const bt_instruction *in, const uint32_t *counts,
                         uint32_t depth, uint64_t times, uint64_t *total) {
    if (in->code >= BT_TABLE_SIZE) return false;
    const bt_operation *operation = &bt_operations_base[in->code];
    if (!operation->run || in->views != operation->views || in->immediates != operation->immediates) return false;
    bt_operands operands;
    memset(&operands, 0, sizeof operands);
    operands.immediate = in->immediate;
    for (uint32_t v = 0; v < in->views; v++) {
        uint32_t stride[BT_MAX_LOOPS];
        bt_tensor *t = &operands.view[v];
        if (!bt_read_view(plan, in->view[v], t, stride)) return false;
        if (!t->of->rank) continue;
        if (bt_type_of(t) != type_of(in->code, v)) return false;
        if (!view_fits(plan, t, stride, counts, depth)) return false;
        if (operation->writes >> v & 1 && !may_write(entry, bt_region_of(t))) return false;
    }
    /* decode_counts reads the window that the caller gives: it has exactly the plan's shape */
    if (in->code == 10 && operands.view[0].of->rank && !bt_shape_is(&operands.view[0], 2, plan->channels, plan->samples, 0, 0))
        return false;
    /* the two cross-entropies read at the label */
    if ((in->code == 34 || in->code == 58) && operands.view[0].of->count != plan->classes) return false;
    if (in->code == BT_NUMBER_copy_ahead && !depth) return false;
    if (!operation->check(&operands)) return false;
    const uint64_t work = work_of(in, operands.view);
    if (work > (BT_MAX_WORK - *total) / times) return false;
    *total += work * times;
    return true;
}

static bt_status verify_entry(const bt_plan *plan, uint32_t entry) {
    uint32_t counts[BT_MAX_LOOPS], depth = 0;
    uint64_t times = 1, total = 0, work = 0, outer[BT_MAX_LOOPS];
    for (uint32_t at = 0;;) {
        bt_instruction in;
        memset(&in, 0, sizeof in);
        if (!bt_decode(plan->code[entry], plan->code_words[entry], at, &in)) return BT_BAD_PLAN;
        total += times;
        if (total > BT_MAX_INSTRUCTIONS_RUN) return BT_BAD_PLAN;
        if (in.code == BT_OP_END) {
            return depth == 0 && in.next == plan->code_words[entry] ? BT_OK : BT_BAD_PLAN;
        } else if (in.code == BT_OP_LOOP) {
            if (depth == BT_MAX_LOOPS || in.views || in.immediates != 1 || in.immediate[0] < 1 ||
                in.immediate[0] > BT_MAX_INSTRUCTIONS_RUN)
                return BT_BAD_PLAN;
            outer[depth] = times;
            times *= in.immediate[0];
            counts[depth++] = in.immediate[0];
        } else if (in.code == BT_OP_END_LOOP) {
            if (!depth || in.views || in.immediates) return BT_BAD_PLAN;
            times = outer[--depth];
        } else if (in.code == BT_OP_WINDOW) {
            if (!depth || counts[depth - 1] != plan->batch || plan->batch < 2 || entry != BT_ENTRY_TRAIN || in.views ||
                in.immediates)
                return BT_BAD_PLAN;
        } else if (!check_kernel(plan, entry, &in, counts, depth, times, &work)) {
            return BT_BAD_PLAN;
        }
        at = in.next;
    }
}

/* A view that the engine itself reads: an activation of at least `count` values. */
static bool readable(const bt_plan *plan, uint32_t index, uint32_t least) {
    bt_tensor t;
    uint32_t stride[BT_MAX_LOOPS] = {0};
    if (index >= plan->view_count || !bt_read_view(plan, index, &t, stride)) return false;
    return t.of->count >= least && bt_type_of(&t) == BT_F32 && view_fits(plan, &t, stride, NULL, 0) &&
           (bt_region_of(&t) == BT_REGION_ARENA || bt_region_of(&t) == BT_REGION_SCALARS || bt_region_of(&t) == BT_REGION_L1);
}

/* A batch's inputs and losses have room for each of its windows. */
static bool batch_fits(const bt_plan *plan) {
    bt_tensor input, loss;
    uint32_t stride[BT_MAX_LOOPS] = {0};
    bt_read_view(plan, plan->input_view, &input, stride);
    bt_read_view(plan, plan->loss_view, &loss, stride);
    if (loss.of->count / plan->batch > 2 || loss.of->count % plan->batch) return false;
    return plan->batch == 1 || (input.of->count <= (1u << 26) / plan->batch &&
                                readable(plan, plan->batch_view, input.of->count * plan->batch));
}

bt_status bt_verify_program(const bt_plan *plan) {
    for (uint32_t entry = 0; entry < BT_ENTRY_COUNT; entry++) {
        const bt_status status = verify_entry(plan, entry);
        if (status != BT_OK) return status;
    }
    if (!readable(plan, plan->logits_view, plan->classes) || !readable(plan, plan->loss_view, 1) ||
        !readable(plan, plan->input_view, 1))
        return BT_BAD_PLAN;
    if (!batch_fits(plan)) return BT_BAD_PLAN;
    if (plan->features_view != UINT32_MAX && !readable(plan, plan->features_view, 1)) return BT_BAD_PLAN;
    return BT_OK;
}
