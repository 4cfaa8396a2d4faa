#include "memory.h"

#include <string.h>

static uint32_t place(uint32_t id) { return (id >> 1) % BT_REMEMBERED; }

void bt_answers_clear(bt_answers *answers) {
    for (uint32_t lane = 0; lane < BT_LANES; lane++)
        for (uint32_t i = 0; i < BT_REMEMBERED; i++) answers->kept[lane][i].id = 0;
}

void bt_answers_forget_windows(bt_answers *answers) {
    for (uint32_t i = 0; i < BT_REMEMBERED; i++) {
        bt_answer *kept = &answers->kept[BT_LANE_WINDOWS][i];
        memset(kept->bytes, 0, sizeof kept->bytes);
        kept->bytes[0] = BT_FORGOTTEN;
        kept->length = 1;
    }
}

bt_status bt_answers_find(const bt_answers *answers, uint32_t id, const bt_answer **answer) {
    /* ids of a lane only grow, so a place is only ever taken over by a larger id */
    const bt_answer *kept = &answers->kept[id & 1][place(id)];
    *answer = kept->id == id && id != 0 ? kept : NULL;
    return kept->id > id ? BT_FORGOTTEN : BT_OK;
}

void bt_answers_keep(bt_answers *answers, uint32_t id, const uint8_t *bytes, uint32_t length) {
    bt_answer *kept = &answers->kept[id & 1][place(id)];
    if (kept->id > id || length > sizeof kept->bytes) return;
    kept->id = id;
    kept->length = length;
    memcpy(kept->bytes, bytes, length);
}
