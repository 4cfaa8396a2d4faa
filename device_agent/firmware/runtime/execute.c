/* The interpreter: instructions, loops and operand addresses. It checks nothing: verify.c has. */
#include "execute.h"

#include "arithmetic.h"
#include "bytes.h"
#include "plan_format.h"
#include "verify.h"

typedef struct loop {
    uint32_t start, count, index;
} loop;

/* The verifier has read every view already: here they are only taken apart, as fast as that goes. */
static void locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT], const loop *loops,
                   uint32_t depth, bt_tensor *t) {
    if (view == BT_NO_VIEW) {
        *t = (bt_tensor){.data = NULL};
        return;
    }
    const uint8_t *record = plan->views + view * BT_VIEW_BYTES;
    uint32_t offset = bt_u32(record + 4), count = 1;
    const uint32_t strides = bt_u16(record + 2);
    t->region = record[0] & 15;
    t->type = record[0] >> 4;
    t->rank = record[1];
    for (uint32_t i = 0; i < BT_MAX_RANK; i++) {
        const uint32_t dim = bt_u32(record + 8 + 4 * i);
        t->dims[i] = i < t->rank ? dim : 0;
        count *= i < t->rank ? dim : 1;
    }
    t->count = count;
    for (uint32_t d = 0; strides && d < depth; d++) {
        const uint8_t *stride = plan->strides + (strides - 1) * BT_STRIDES_BYTES;
        offset += bt_u32(stride + 4 * d) * loops[d].index;
    }
    t->data = (float *)(void *)(region[t->region] + offset);
}

bt_tensor bt_locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT]) {
    bt_tensor t;
    locate(plan, view, region, NULL, 0, &t);
    return t;
}

static void count_touched(uint32_t *touched, const bt_operands *o, uint32_t views, uint8_t *const region[BT_REGION_COUNT]) {
    for (uint32_t v = 0; v < views; v++) {
        const bt_tensor *t = &o->view[v];
        if (!t->rank) continue;
        const uint32_t from = (uint32_t)((const uint8_t *)t->data - region[t->region]);
        const uint32_t end = (from + bt_tensor_bytes(t) + 3) & ~3u; /* of narrow ones, too, whole words */
        if (end > touched[t->region]) touched[t->region] = end;
    }
}

static void look_for_fault(bt_fault *fault, const bt_operands *o, const bt_operation *operation, const uint8_t *weights) {
    for (uint32_t v = 0; v < operation->views; v++)
        if (o->view[v].rank && o->view[v].region == BT_REGION_WEIGHTS)
            fault->weights_offset = (uint32_t)((const uint8_t *)o->view[v].data - weights);
    for (uint32_t v = 0; v < operation->views; v++)
        if (o->view[v].rank && o->view[v].type == BT_F32 && operation->writes >> v & 1)
            for (uint32_t i = 0; i < o->view[v].count; i++)
                if (!isfinite(o->view[v].data[i])) fault->found = true;
}

void bt_execute(const bt_plan *plan, bt_entry entry, uint8_t *const region[BT_REGION_COUNT],
                const bt_operation *operations, const bt_run *run) {
    loop loops[BT_MAX_LOOPS];
    uint32_t depth = 0;
    bt_run current = *run; /* of the window that is being worked on */
    for (uint32_t at = 0;;) {
        bt_instruction in;
        bt_decode(plan->code[entry], plan->code_words[entry], at, &in);
        at = in.next;
        if (in.code == BT_OP_END) return;
        if (in.code == BT_OP_LOOP) {
            loops[depth++] = (loop){.start = at, .count = in.immediate[0], .index = 0};
        } else if (in.code == BT_OP_END_LOOP) {
            loop *innermost = &loops[depth - 1];
            if (++innermost->index < innermost->count) at = innermost->start;
            else depth--;
        } else if (in.code == BT_OP_WINDOW) {
            const uint32_t window = loops[depth - 1].index;
            current.label = run->labels[window];
            current.dropout_key = bt_hash_counter(run->dropout_seed, run->first_window + window);
        } else {
            bt_operands operands;
            for (uint32_t v = 0; v < in.views; v++)
                locate(plan, in.view[v], region, loops, depth, &operands.view[v]);
            for (uint32_t i = 0; i < in.immediates; i++) operands.immediate[i] = in.immediate[i];
            operands.run = &current;
            if (run->touched) count_touched(run->touched, &operands, in.views, region);
            const uint64_t before = run->spent ? bt_port_instructions(run->port) : 0;
            operations[in.code].run(&operands);
            if (run->spent) run->spent[in.code] += bt_port_instructions(run->port) - before;
            if (run->fault && !run->fault->found)
                look_for_fault(run->fault, &operands, &operations[in.code], region[BT_REGION_WEIGHTS]);
        }
    }
}

const bt_operation *bt_select_operations(void) {
#if defined(__x86_64__) && !defined(BT_ONLY_BASE_KERNELS)
    if (bt_has_v4()) return bt_operations_v4;
    if (bt_has_v3()) return bt_operations_v3;
#endif
    return bt_operations_base;
}
