#ifndef BIOTRAIN_VERIFY_H
#define BIOTRAIN_VERIFY_H

#include "operation.h"

/* No instruction of the plan can touch memory outside its regions, write constants, or run for ever. */
bt_status bt_verify_program(const bt_plan *plan);

/* One decoded instruction: its operation and where the next one starts. */
typedef struct bt_instruction {
    uint32_t code, views, immediates, next;
    uint32_t view[BT_MAX_VIEWS];
    uint32_t immediate[BT_MAX_IMMEDIATES];
} bt_instruction;

/* False when it does not fit in the code or has too many operands. */
bool bt_decode(const uint8_t *code, uint32_t words, uint32_t at, bt_instruction *out);

/* The record of a view; data is left NULL. `stride` is in bytes. */
bool bt_read_view(const bt_plan *plan, uint32_t index, bt_tensor *out, uint32_t stride[BT_MAX_LOOPS]);

#endif
