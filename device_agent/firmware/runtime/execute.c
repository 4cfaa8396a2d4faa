/* The interpreter: instructions, loops and operand addresses. It checks nothing: verify.c has. */
#include "execute.h"

#include "arithmetic.h"
#include "plan_format.h"
#include "verify.h"

typedef struct loop {
    const uint8_t *start;
    uint32_t count, index;
} loop;

/* Words of an open plan: it lies, and each of its sections begins, at a multiple of four. */
static inline uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, __builtin_assume_aligned(p, 4), sizeof word);
    return word;
}

/* The verifier has read every view already: here they are only taken apart, as fast as that goes. */
static inline void locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT], const loop *loops,
                          uint32_t depth, bt_tensor *t) {
    if (view == BT_NO_VIEW) {
        *t = (bt_tensor){.data = NULL};
        return;
    }
    const uint8_t *record = plan->views + view * BT_VIEW_BYTES;
    const uint32_t head = word_at(record), strides = head >> 16, place = head & 15;
    const uint32_t a = word_at(record + 8), b = word_at(record + 12), c = word_at(record + 16), d = word_at(record + 20);
    uint32_t offset = word_at(record + 4);
    if (strides) {
        const uint8_t *stride = plan->strides + (strides - 1) * BT_STRIDES_BYTES;
        for (const loop *l = loops; l != loops + depth; l++, stride += 4) offset += word_at(stride) * l->index;
    }
    *t = (bt_tensor){.data = (float *)(void *)(region[place] + offset), .rank = head >> 8 & 0xff,
                     .count = a * b * c * d, /* they are 1 from the rank on */
                     .region = (uint16_t)place, .type = head >> 4 & 15, .dims = {a, b, c, d}};
}

/* The operands of the instruction at `at`; returns where the next one lies. */
static __attribute__((noinline)) const uint8_t *take_operands(const bt_plan *plan, const uint8_t *at,
                                                              uint8_t *const region[BT_REGION_COUNT],
                                                              const loop *loops, uint32_t depth, bt_operands *o) {
    const uint32_t views = at[1], immediates = at[2];
    at += 4;
    for (bt_tensor *t = o->view, *end = t + views; t != end; t++, at += 2) {
        uint16_t view;
        memcpy(&view, __builtin_assume_aligned(at, 2), sizeof view);
        locate(plan, view, region, loops, depth, t);
    }
    at += 2 * (views & 1);
    for (uint32_t i = 0; i < immediates; i++, at += 4) o->immediate[i] = word_at(at);
    return at;
}

bt_tensor bt_locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT]) {
    bt_tensor t;
    locate(plan, view, region, NULL, 0, &t);
    return t;
}

static __attribute__((noinline)) void count_touched(uint32_t *touched, const bt_operands *o, uint32_t views, uint8_t *const region[BT_REGION_COUNT]) {
    for (uint32_t v = 0; v < views; v++) {
        const bt_tensor *t = &o->view[v];
        if (!t->rank) continue;
        const uint32_t from = (uint32_t)((const uint8_t *)t->data - region[t->region]);
        const uint32_t end = (from + bt_tensor_bytes(t) + 3) & ~3u; /* of narrow ones, too, whole words */
        if (end > touched[t->region]) touched[t->region] = end;
    }
}

static __attribute__((noinline, cold)) void look_for_fault(bt_fault *fault, const bt_operands *o, const bt_operation *operation, const uint8_t *weights) {
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
    for (const uint8_t *at = plan->code[entry];;) {
        const uint32_t code = *at;
        if (code == BT_OP_END) return;
        if (code == BT_OP_LOOP) {
            loops[depth++] = (loop){.start = at + 8, .count = word_at(at + 4), .index = 0};
            at += 8;
        } else if (code == BT_OP_END_LOOP) {
            loop *innermost = &loops[depth - 1];
            at += 4;
            if (++innermost->index < innermost->count) at = innermost->start;
            else depth--;
        } else if (code == BT_OP_WINDOW) {
            const uint32_t window = loops[depth - 1].index;
            current.label = run->labels[window];
            current.dropout_key = bt_hash_counter(run->dropout_seed, run->first_window + window);
            at += 4;
        } else {
            bt_operands operands;
            const uint32_t views = at[1];
            at = take_operands(plan, at, region, loops, depth, &operands);
            operands.run = &current;
            if (run->touched) count_touched(run->touched, &operands, views, region);
            const uint64_t before = run->spent ? bt_port_instructions(run->port) : 0;
            operations[code].run(&operands);
            if (run->spent) run->spent[code] += bt_port_instructions(run->port) - before;
            if (run->fault && !run->fault->found)
                look_for_fault(run->fault, &operands, &operations[code], region[BT_REGION_WEIGHTS]);
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
