/* Byte offsets of a plan file; docs/plan-format.md and schemas/plan.py say the same. */
#ifndef BIOTRAIN_PLAN_FORMAT_H
#define BIOTRAIN_PLAN_FORMAT_H

enum {
    BT_PLAN_MAJOR = 3,
    BT_PLAN_HEADER_BYTES = 256,
    BT_AT_MAGIC = 0,
    BT_AT_VERSION = 4, /* u16 major, u16 minor */
    BT_AT_LENGTH = 8,  /* without the signature */
    BT_AT_CRC = 12,    /* over [0, 12) and [16, signed length) */
    BT_AT_SIGNED_LENGTH = 16, /* the same: from here to the end stands the signature, if there is one */
    BT_PLAN_SIGNATURE_BYTES = 128,
    BT_AT_HEADER_BYTES = 20,
    BT_AT_FLAGS = 24,
    BT_AT_DEVICE_CLASS = 28,
    BT_AT_MODEL = 32,
    BT_AT_CHANNELS = 64,
    BT_AT_SAMPLES = 68,
    BT_AT_CLASSES = 72,
    BT_AT_SAMPLING_RATE = 76,
    BT_AT_REGIONS = 80, /* eight sizes in bytes */
    BT_AT_INPUT_VIEW = 112,
    BT_AT_LOGITS_VIEW = 116,
    BT_AT_FEATURES_VIEW = 120,
    BT_AT_LOSS_VIEW = 124,
    BT_AT_TRAINING_BYTES = 128,
    BT_AT_SECTION_COUNT = 132,
    BT_AT_BATCH = 136,      /* windows that train runs over at once; 0 for one */
    BT_AT_BATCH_VIEW = 140, /* where their inputs lie, window by window */
    BT_SECTION_BYTES = 16, /* kind, offset, length, 0 */
    BT_MAX_SECTIONS = 16,
    BT_SECTION_NAMES = 1,
    BT_SECTION_VIEWS = 2,
    BT_SECTION_CONSTANTS = 3,
    BT_SECTION_CODE = 4, /* 4 + entry */
    BT_SECTION_STRIDES = 8,
    /* region and type << 4 u8, rank u8, strides u16 (0: none, else from 1), offset u32, values u32, dims[4] u32 */
    BT_VIEW_BYTES = 28,
    BT_STRIDES_BYTES = 16 /* how far a view moves with each loop around it, [4] u32 */
};

/* Of a stride: it counts in odd rounds only, so that two parts take turns. */
#define BT_TURNS 0x80000000u

#endif
