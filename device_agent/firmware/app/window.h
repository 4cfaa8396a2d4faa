/* The body of a window, on the link and in the ring: id u32, label i32 (-1: none), time u64 (end of the window,
 * microseconds, the source's clock), then float32 scale[channels] and int16 counts[channels][samples]. */
#ifndef BIOTRAIN_WINDOW_H
#define BIOTRAIN_WINDOW_H

#include "biotrain/engine.h"

enum { BT_WINDOW_HEADER_BYTES = 16, BT_NO_LABEL = -1, BT_WINDOW_AT_LABEL = 4, BT_WINDOW_AT_TIME = 8 };

typedef struct bt_quality {
    uint64_t flat, saturated; /* bit c: channel c did not change, or touched the ends of its range */
} bt_quality;

static inline uint32_t bt_window_bytes(const bt_plan *plan) {
    return BT_WINDOW_HEADER_BYTES + plan->channels * 4 + plan->channels * plan->samples * 2;
}
uint32_t bt_window_id(const uint8_t *body);
int32_t bt_window_label(const uint8_t *body);
void bt_window_set_id(uint8_t *body, uint32_t id);
uint64_t bt_window_time(const uint8_t *body);
void bt_window_set_label(uint8_t *body, int32_t label);
/* Its samples, where they lie; `body` is 4-byte aligned. */
bt_window bt_window_view(const bt_plan *plan, const uint8_t *body);
/* Length, label and scales are possible for this plan. */
bt_status bt_window_check(const bt_plan *plan, const uint8_t *body, uint32_t length);
bt_quality bt_window_quality(const bt_plan *plan, const uint8_t *body);

#endif
