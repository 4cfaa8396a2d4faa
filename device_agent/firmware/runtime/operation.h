/* What an operation sees: its operands with addresses, its immediates, and the run that it is part of. */
#ifndef BIOTRAIN_OPERATION_H
#define BIOTRAIN_OPERATION_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "biotrain/engine.h"
#include "operations.h"
#include "plan_format.h"

enum { BT_MAX_VIEWS = 8, BT_MAX_IMMEDIATES = 12, BT_MAX_RANK = 4, BT_MAX_LOOPS = 4 };
enum { BT_NO_VIEW = 0xffff };
/* How values lie in memory: plan files hold these numbers. */
typedef enum bt_type { BT_F32 = 0, BT_I16, BT_BF16, BT_TYPES } bt_type;

/* A dense tensor's record, as it lies in the plan (docs/plan-format.md), last dimension fastest. */
typedef struct bt_view {
    uint8_t place; /* region, and type << 4 */
    uint8_t rank;
    uint16_t strides;
    uint32_t offset, count;
    uint32_t dims[BT_MAX_RANK]; /* 1 from the rank on */
} bt_view;

/* An operand. One that the plan leaves out has rank 0 and no data. */
typedef struct bt_tensor {
    float *data; /* of another type than BT_F32: cast by the operations that know it */
    const bt_view *of;
} bt_tensor;

_Static_assert(sizeof(bt_view) == BT_VIEW_BYTES, "views lie in the plan as they are");
extern const bt_view bt_no_view;

/* Views of an open plan begin at a multiple of four. */
static inline const bt_view *bt_view_at(const bt_plan *plan, uint32_t index) {
    return (const bt_view *)(const void *)__builtin_assume_aligned(plan->views + index * sizeof(bt_view), 4);
}
static inline uint32_t bt_region_of(const bt_tensor *t) { return t->of->place & 15; }
static inline uint32_t bt_type_of(const bt_tensor *t) { return t->of->place >> 4; }

/* Where a number that is not finite first came up. */
typedef struct bt_fault {
    bool found;
    uint32_t weights_offset; /* of the last parameter that was used up to there; UINT32_MAX before the first */
} bt_fault;

/* What is the same for all instructions of one run of an entry. */
typedef struct bt_run {
    bt_port *port;
    uint32_t cores; /* of the port */
    bt_window window;      /* decode_counts */
    uint32_t label;        /* cross_entropy */
    bt_optimizer optimizer; /* sgd, adam */
    float gradient_scale;  /* 1 / windows accumulated: gradients are means over the batch */
    float adam_1, adam_2;  /* 1 - beta^steps of Adam's two moments */
    uint32_t dropout_key;
    /* for an entry that runs over a batch: each window's label, and what its dropout key follows from */
    const uint32_t *labels;
    uint32_t dropout_seed, first_window;
    bt_fault *fault; /* NULL: nobody looks */
    uint32_t *touched; /* of each region, the end of what was ever used; NULL: nobody counts */
    uint64_t *spent; /* instructions of each operation, by number; NULL: nobody counts */
} bt_run;

typedef struct bt_operands {
    bt_tensor view[BT_MAX_VIEWS];
    const uint32_t *immediate; /* in the plan */
    const bt_run *run;
} bt_operands;

typedef struct bt_operation {
    uint8_t views, immediates, writes;
    bool (*check)(const bt_operands *operands); /* shapes and immediates make sense together */
    void (*run)(const bt_operands *operands);   /* may rely on what check found */
} bt_operation;

/* One table per set of kernels; entries that are no operation are zero. */
enum { BT_TABLE_SIZE = BT_NUMBERS_END };
typedef const bt_operation bt_operation_table[BT_TABLE_SIZE];
extern bt_operation_table bt_operations_base;
extern bt_operation_table bt_operations_v3; /* AVX2 and FMA */
extern bt_operation_table bt_operations_v4; /* AVX-512, as x86-64-v4 has it */
extern bt_operation_table bt_operations_plain; /* the plain loops, for tests on a host */

#if defined(__x86_64__) && !defined(BT_ONLY_BASE_KERNELS)
/* What this processor can run. */
static inline bool bt_has_v3(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static inline bool bt_has_v4(void) {
    return bt_has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

static inline float bt_float_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline bool bt_shape_is(const bt_tensor *t, uint32_t rank, uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3) {
    const uint32_t want[BT_MAX_RANK] = {d0, d1, d2, d3};
    if (t->of->rank != rank) return false;
    for (uint32_t i = 0; i < rank; i++)
        if (t->of->dims[i] != want[i]) return false;
    return true;
}

static inline bool bt_same_shape(const bt_tensor *a, const bt_tensor *b) {
    return bt_shape_is(a, b->of->rank, b->of->dims[0], b->of->dims[1], b->of->dims[2], b->of->dims[3]);
}

static inline uint32_t bt_tensor_bytes(const bt_tensor *t) { return t->of->count * (bt_type_of(t) == BT_F32 ? 4 : 2); }

#endif
