/* The interpreter: instructions, loops and operand addresses. It checks nothing: verify.c has. */
#include "execute.h"

#include "arithmetic.h"
#include "plan_format.h"
#include "verify.h"

typedef struct loop {
    const uint8_t *start;
    uint32_t count, index;
} loop;

/* Immediates of an open plan as the words that they are. */
static inline const uint32_t *words_at(const uint8_t *p) {
    return (const uint32_t *)(const void *)__builtin_assume_aligned(p, 4);
}

/* Words of an open plan: it lies, and each of its sections begins, at a multiple of four. */
static inline uint32_t word_at(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, __builtin_assume_aligned(p, 4), sizeof word);
    return word;
}

const bt_view bt_no_view = {0};

/* The verifier has read every view already: here they are only looked up, as fast as that goes. */
static inline void locate(const bt_plan *plan, const bt_view *views, uint32_t index,
                          uint8_t *const region[BT_REGION_COUNT], const loop *loops, const loop *inside, bt_tensor *t) {
    if (index == BT_NO_VIEW) {
        *t = (bt_tensor){NULL, &bt_no_view};
        return;
    }
    const bt_view *of = views + index;
    uint8_t *data = region[of->place & 15] + of->offset;
    if (of->strides) {
        const uint32_t *stride = words_at(plan->strides + (of->strides - 1) * BT_STRIDES_BYTES);
        for (const loop *l = loops; l != inside; l++) {
            const uint32_t by = *stride++;
            data += by & BT_TURNS ? (by & ~BT_TURNS) * (l->index & 1) : by * l->index;
        }
    }
    *t = (bt_tensor){(float *)(void *)data, of};
}

/* The operands of the instruction at `at`; returns where the next one lies. */
static inline __attribute__((always_inline)) const uint8_t *take_operands(const bt_plan *plan, const uint8_t *at,
                                                              uint8_t *const region[BT_REGION_COUNT],
                                                              const loop *loops, const loop *inside, bt_operands *o) {
    const uint32_t count = at[1], immediates = at[2];
    const bt_view *const views = bt_view_at(plan, 0);
    const uint8_t *number = at + 4;
    bt_tensor *const end = o->view + count;
    at += 4 + ((2 * count + 2) & ~3u);
    o->immediate = words_at(at);
    at += 4 * immediates;
    for (bt_tensor *t = o->view; t != end; t++, number += 2) {
        uint16_t view;
        memcpy(&view, __builtin_assume_aligned(number, 2), sizeof view);
        locate(plan, views, view, region, loops, inside, t);
    }
    return at;
}

bt_tensor bt_locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT]) {
    bt_tensor t;
    locate(plan, bt_view_at(plan, 0), view, region, NULL, NULL, &t);
    return t;
}

static __attribute__((noinline)) void count_touched(uint32_t *touched, const bt_operands *o, uint32_t views,
                                                    uint8_t *const region[BT_REGION_COUNT]) {
    for (uint32_t v = 0; v < views; v++) {
        const bt_tensor *t = &o->view[v];
        if (!t->of->rank) continue;
        const uint32_t from = (uint32_t)((const uint8_t *)t->data - region[bt_region_of(t)]);
        const uint32_t end = (from + bt_tensor_bytes(t) + 3) & ~3u; /* of narrow ones, too, whole words */
        if (end > touched[bt_region_of(t)]) touched[bt_region_of(t)] = end;
    }
}

static __attribute__((noinline, cold)) void look_for_fault(bt_fault *fault, const bt_operands *o,
                                                           const bt_operation *operation, const uint8_t *weights) {
    for (uint32_t v = 0; v < operation->views; v++)
        if (o->view[v].of->rank && bt_region_of(&o->view[v]) == BT_REGION_WEIGHTS)
            fault->weights_offset = (uint32_t)((const uint8_t *)o->view[v].data - weights);
    for (uint32_t v = 0; v < operation->views; v++)
        if (o->view[v].of->rank && bt_type_of(&o->view[v]) == BT_F32 && operation->writes >> v & 1)
            for (uint32_t i = 0; i < o->view[v].of->count; i++)
                if (!isfinite(o->view[v].data[i])) fault->found = true;
}

/* An operation that somebody looks at. */
static __attribute__((noinline)) void run_watched(const bt_operation *operation, const bt_operands *o, uint32_t code,
                                                  uint8_t *const region[BT_REGION_COUNT]) {
    const bt_run *run = o->run;
    if (run->touched) count_touched(run->touched, o, operation->views, region);
    const uint64_t before = run->spent ? bt_port_instructions(run->port) : 0;
    operation->run(o);
    if (run->spent) run->spent[code] += bt_port_instructions(run->port) - before;
    if (run->fault && !run->fault->found) look_for_fault(run->fault, o, operation, region[BT_REGION_WEIGHTS]);
}

void bt_execute(const bt_plan *plan, bt_entry entry, uint8_t *const region[BT_REGION_COUNT],
                const bt_operation *operations, const bt_run *run) {
    loop loops[BT_MAX_LOOPS], *inside = loops; /* behind the innermost one */
    bt_run current = *run; /* of the window that is being worked on */
    const bool watched = run->touched || run->spent || run->fault;
    bt_operands operands;
    operands.run = &current;
    for (const uint8_t *at = plan->code[entry];;) {
        const uint32_t code = *at;
        if (code > BT_OP_WINDOW) {
            loop *shifted = NULL;
            if (code == BT_NUMBER_copy_ahead) {
                shifted = inside - 1;
                if (shifted->index + 1 == shifted->count) { /* no round is left to copy for */
                    at += 8;
                    continue;
                }
                shifted->index++;
            }
            at = take_operands(plan, at, region, loops, inside, &operands);
            if (shifted) shifted->index--;
            if (watched) run_watched(&operations[code], &operands, code, region);
            else operations[code].run(&operands);
        } else if (code == BT_OP_END) {
            return;
        } else if (code == BT_OP_LOOP) {
            *inside++ = (loop){.start = at + 8, .count = word_at(at + 4), .index = 0};
            at += 8;
        } else if (code == BT_OP_END_LOOP) {
            loop *innermost = inside - 1;
            at += 4;
            if (++innermost->index < innermost->count) at = innermost->start;
            else inside = innermost;
        } else {
            const uint32_t window = inside[-1].index;
            current.label = run->labels[window];
            current.dropout_key = bt_window_key(run->dropout_seed, run->first_window + window);
            at += 4;
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
