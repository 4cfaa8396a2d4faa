#include "window.h"

#include <string.h>

uint32_t bt_window_id(const uint8_t *body) {
    uint32_t id;
    memcpy(&id, body, sizeof id);
    return id;
}

void bt_window_set_id(uint8_t *body, uint32_t id) { memcpy(body, &id, sizeof id); }

uint64_t bt_window_time(const uint8_t *body) {
    uint64_t time;
    memcpy(&time, body + BT_WINDOW_AT_TIME, sizeof time);
    return time;
}

int32_t bt_window_label(const uint8_t *body) {
    int32_t label;
    memcpy(&label, body + BT_WINDOW_AT_LABEL, sizeof label);
    return label;
}

void bt_window_set_label(uint8_t *body, int32_t label) { memcpy(body + BT_WINDOW_AT_LABEL, &label, sizeof label); }

bt_window bt_window_view(const bt_plan *plan, const uint8_t *body) {
    const void *scale = body + BT_WINDOW_HEADER_BYTES, *counts = body + BT_WINDOW_HEADER_BYTES + plan->channels * 4;
    return (bt_window){.counts = counts, .scale = scale};
}

bt_status bt_window_check(const bt_plan *plan, const uint8_t *body, uint32_t length) {
    if (length != bt_window_bytes(plan)) return BT_BAD_ARGUMENT;
    const int32_t label = bt_window_label(body);
    if (label < BT_NO_LABEL || label >= (int32_t)plan->classes) return BT_BAD_ARGUMENT;
    for (uint32_t c = 0; c < plan->channels; c++) {
        uint32_t bits;
        memcpy(&bits, body + BT_WINDOW_HEADER_BYTES + 4 * c, sizeof bits);
        if ((bits & 0x7f800000u) == 0x7f800000u) return BT_NOT_FINITE;
    }
    return BT_OK;
}

bt_quality bt_window_quality(const bt_plan *plan, const uint8_t *body) {
    const bt_window window = bt_window_view(plan, body);
    bt_quality quality = {0, 0};
    for (uint32_t c = 0; c < plan->channels; c++) {
        const int16_t *x = window.counts + c * plan->samples;
        int32_t low = x[0], high = x[0];
        for (uint32_t i = 1; i < plan->samples; i++) {
            if (x[i] < low) low = x[i];
            if (x[i] > high) high = x[i];
        }
        if (low == high) quality.flat |= (uint64_t)1 << c;
        if (low == INT16_MIN || high == INT16_MAX) quality.saturated |= (uint64_t)1 << c;
    }
    return quality;
}
