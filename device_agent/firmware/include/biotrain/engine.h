/* The training engine: runs a plan. No allocation, no globals, no I/O; all state is in bt_engine and in the
 * memory that it was given. */
#ifndef BIOTRAIN_ENGINE_H
#define BIOTRAIN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "biotrain/plan.h"
#include "biotrain/port.h"
#include "biotrain/status.h"

enum { BT_MAX_FEATURES = 64 };

/* The device's memory levels. The engine takes what it needs from the front of each, in order, at start. */
typedef struct bt_memory {
    uint8_t *l1, *l2, *l3;
    uint32_t l1_size, l2_size, l3_size;
    uint32_t l1_used, l2_used, l3_used;
} bt_memory;

/* Take `bytes` (rounded up to 16) from a level; NULL when it does not fit. There is no free. */
void *bt_take_l1(bt_memory *memory, uint32_t bytes);
void *bt_take_l2(bt_memory *memory, uint32_t bytes);
void *bt_take_l3(bt_memory *memory, uint32_t bytes);

typedef enum bt_bank { BT_BANK_SERVING = 0, BT_BANK_CANDIDATE = 1 } bt_bank;

/* A window as the ADC gave it: counts [channels][samples], value = count * scale[channel]. */
typedef struct bt_window {
    const int16_t *counts;
    const float *scale;
} bt_window;

typedef struct bt_prediction {
    uint32_t classes, predicted;
    float probabilities[BT_MAX_CLASSES];
    float margin;  /* largest minus second largest probability */
    float entropy; /* nats */
    uint32_t feature_count;
    float features[BT_MAX_FEATURES];
} bt_prediction;

/* The settings of one optimiser step; which optimiser it is stands in the plan. What is 0 is left out. */
typedef struct bt_optimizer {
    float learning_rate, momentum, weight_decay;
    uint32_t nesterov;             /* SGD */
    float beta_1, beta_2, epsilon; /* Adam and AdamW; 0 stands for 0.9, 0.999 and 1e-8 */
    float clip_norm;               /* the largest norm of all gradients together */
} bt_optimizer;

typedef enum bt_schedule { BT_SCHEDULE_CONSTANT = 0, BT_SCHEDULE_COSINE = 1 } bt_schedule;

typedef struct bt_engine {
    bt_port *port;
    const bt_plan *plan;
    uint8_t *region[BT_REGION_COUNT]; /* base address of each region of the plan */
    float *serving, *candidate;       /* two images of the plan's weights */
    const struct bt_operation *operations; /* the kernels in use */
    uint32_t dropout_seed;            /* keys the dropout masks of a fit; set it before bt_fit_begin */
    uint32_t samples_seen;            /* windows since the fit began */
    uint32_t touched[BT_REGION_COUNT]; /* high-water marks: of each region, the end of what was ever used */
    uint32_t counted; /* bit e: entry e has run, and its marks are there: a program uses the same in every run */
    uint64_t *spent; /* instructions of each operation, by number; NULL: nobody counts */
    uint32_t resident_bytes;
    uint32_t steps;      /* optimiser steps since the fit began */
    uint32_t samples;    /* windows accumulated since the last step */
    float weight;        /* of these windows in the mean: their number, or the sum of their classes' weights */
    float adam_1, adam_2; /* 1 - beta^steps of Adam's two moments */
} bt_engine;

/* Place the plan's regions. BT_NO_MEMORY when a level is too small; *memory is then unchanged. */
bt_status bt_engine_init(bt_engine *engine, const bt_plan *plan, bt_port *port, bt_memory *memory);

/* The weights of a bank as raw values, plan->weights_bytes long (to be wrapped in a weights file, weights.h). */
uint8_t *bt_engine_weights(bt_engine *engine, bt_bank bank);

/* Preprocess and classify one window. */
bt_status bt_engine_infer(bt_engine *engine, bt_bank bank, bt_window window, bt_prediction *out);

/* Training state in L2 by the executor's own count, once a fit has made a step; the planner's before that. */
uint32_t bt_engine_training_bytes(const bt_engine *engine);

/* Begin a fit: candidate := serving, momentum and accumulators := 0. */
bt_status bt_fit_begin(bt_engine *engine);
/* Forward and backward of one labelled window on the candidate; gradients add up. Writes its loss, which with class
 * weights is the weighted one. */
bt_status bt_fit_sample(bt_engine *engine, bt_window window, uint32_t label, float *loss);
/* bt_fit_sample for a plan that trains over a whole batch at once (plan->batch > 1): that many windows with their labels.
 * Writes the mean loss. Plans of either kind refuse the other call: BT_UNSUPPORTED. */
bt_status bt_fit_batch(bt_engine *engine, const bt_window *windows, const uint32_t *labels, float *loss);
/* After BT_NOT_FINITE from either: runs its plan->batch windows once more and looks where the first such number comes up.
 * Gives the offset in the weights of the last parameter used up to there, UINT32_MAX when a window itself was not finite.
 * BT_WRONG_STATE when nothing is wrong. The fit is over either way. */
bt_status bt_fit_find_fault(bt_engine *engine, const bt_window *windows, const uint32_t *labels,
                            uint32_t *weights_offset);
/* The offset of the candidate's first value that is NaN or infinite; UINT32_MAX when there is none: a step can leave
 * one behind that no window has met yet. */
uint32_t bt_fit_sick_weight(const bt_engine *engine);
/* One optimiser step with the mean of the accumulated gradients; clears them. BT_NOT_FINITE, and the candidate is as it
 * was, when the norm of the gradients is asked for and is not a number. */
bt_status bt_fit_step(bt_engine *engine, bt_optimizer optimizer);
/* The learning rate of `step` (0-based) of `steps`: 0.5 * base * (1 + cos(pi * step / steps)). */
float bt_cosine_rate(float base, uint32_t step, uint32_t steps);
/* The same for any schedule, behind a linear warm-up of `warm_up` steps: base * (step + 1) / warm_up. */
float bt_scheduled_rate(bt_schedule schedule, float base, uint32_t warm_up, uint32_t step, uint32_t steps);
/* serving := candidate, in memory. */
void bt_engine_promote(bt_engine *engine);

/* The order of an epoch's windows: Fisher-Yates over 0..count-1 from this generator (docs/arithmetic.md). */
typedef struct bt_random { uint64_t state; } bt_random;
uint32_t bt_random_next(bt_random *random);
void bt_shuffle(bt_random *random, uint32_t *indices, uint32_t count);

#endif
