/* A plan: a compiled training program for one model. This reader trusts nothing: bt_plan_open checks magic,
 * version, length, CRC, every table, every offset, every shape and every instruction before anything runs. */
#ifndef BIOTRAIN_PLAN_H
#define BIOTRAIN_PLAN_H

#include <stdint.h>

#include "biotrain/status.h"

enum { BT_DEVICE_CLASS = 1 }; /* what plans must be made for: GAP9, and its image on other ports */
enum { BT_MAX_CLASSES = 64, BT_MAX_CHANNELS = 64, BT_HASH_BYTES = 32, BT_MODEL_NAME_BYTES = 32, BT_MAX_BATCH = 256 };

/* Where a buffer lies. Offsets of a plan are relative to its region. */
typedef enum bt_region {
    BT_REGION_CONST = 0,  /* read-only values inside the plan file */
    BT_REGION_WEIGHTS,    /* the bank that the entry runs on */
    BT_REGION_GRADIENTS,  /* accumulators, one value for each trained weight */
    BT_REGION_OPTIMIZER,  /* momentum */
    BT_REGION_SCALARS,    /* statistics, loss, norms: few floats */
    BT_REGION_ARENA,      /* activations, L2 */
    BT_REGION_L1,         /* tiles */
    BT_REGION_L3,         /* spilled buffers */
    BT_REGION_COUNT
} bt_region;

typedef enum bt_entry {
    BT_ENTRY_PREPROCESS = 0, /* raw window -> model input */
    BT_ENTRY_INFER,          /* model input -> logits */
    BT_ENTRY_TRAIN,          /* forward, loss, backward of one micro-batch; gradients add */
    BT_ENTRY_UPDATE,         /* optimiser step over all trained weights */
    BT_ENTRY_COUNT
} bt_entry;

/* What *update* does; the settings of its steps come with each fit. */
typedef enum bt_plan_optimizer {
    BT_OPTIMIZER_OTHER = 0,
    BT_OPTIMIZER_SGD,
    BT_OPTIMIZER_ADAM,
    BT_OPTIMIZER_ADAMW
} bt_plan_optimizer;

typedef struct bt_plan {
    const uint8_t *file;
    uint32_t length;
    uint8_t hash[BT_HASH_BYTES]; /* SHA-256 of the file without its signature */
    const uint8_t *signature;    /* the block behind it (trust/trust.h), not checked here; NULL: none */
    char model[BT_MODEL_NAME_BYTES];
    uint32_t channels, samples, classes;
    float sampling_rate_hz;
    uint32_t weights_bytes;
    uint32_t batch;          /* windows that *train* runs over at once: 1 but for exact batch norm */
    bt_plan_optimizer optimizer;
    uint32_t training_bytes; /* training state in L2 at its peak, as the planner counted it */
    uint32_t region_bytes[BT_REGION_COUNT];
    /* the rest is the executor's */
    const uint8_t *names; /* JSON: classes, channels, ...; shown to the host, never read here */
    uint32_t names_length;
    const uint8_t *views, *strides, *constants, *code[BT_ENTRY_COUNT];
    uint32_t view_count, strides_count, constants_length, code_words[BT_ENTRY_COUNT];
    uint32_t batch_view; /* where the inputs of a batch lie */
    uint32_t input_view, logits_view, features_view, loss_view; /* features_view: UINT32_MAX if none */
} bt_plan;

/* Check a file and read its header. `file` must stay where it is while the plan is used, 8-byte aligned. */
bt_status bt_plan_open(bt_plan *plan, const uint8_t *file, uint32_t length);

/* A weights file: 128-byte header, then plan->weights_bytes of float32 values. */
enum { BT_WEIGHTS_HEADER_BYTES = 128 };
typedef enum bt_origin { BT_ORIGIN_PRETRAINED = 0, BT_ORIGIN_ADAPTED = 1 } bt_origin;
typedef struct bt_weights_header {
    uint8_t plan_hash[BT_HASH_BYTES];
    uint8_t parent_hash[BT_HASH_BYTES]; /* SHA-256 of the parent's values; zero for pre-trained weights */
    uint32_t version, origin, value_bytes;
    char device_id[24];                 /* where they were adapted; "" for pre-trained ones */
    uint8_t code[16];                   /* of the device that keeps them, over all this (app/trust.c); or zeros */
} bt_weights_header;

/* BT_WRONG_PLAN when they are not for this plan, BT_NOT_FINITE when a value is NaN or infinite. */
bt_status bt_weights_open(bt_weights_header *header, const bt_plan *plan, const uint8_t *file, uint32_t length);
/* Write the header (with the CRC over header and values) in front of the values. */
void bt_weights_seal(uint8_t out[BT_WEIGHTS_HEADER_BYTES], const bt_weights_header *header, const uint8_t *values);

/* A digest of what weights must have in common with a plan to be used with it: parameters and preprocessing. A model that
 * is compiled anew, with another budget, say, keeps it. */
uint32_t bt_plan_layout(const bt_plan *plan);

void bt_sha256(const uint8_t *bytes, uint32_t length, uint8_t out[BT_HASH_BYTES]);
uint32_t bt_crc32(uint32_t crc, const uint8_t *bytes, uint32_t length); /* zlib's; start with 0 */

#endif
