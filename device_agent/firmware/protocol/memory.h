/* At most once: the answers to recent requests. A request that comes again gets the same answer, unexecuted. */
#ifndef BIOTRAIN_PROTOCOL_MEMORY_H
#define BIOTRAIN_PROTOCOL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "biotrain/status.h"

enum {
    BT_REMEMBERED = 16,      /* of each lane; an agent has far fewer requests under way */
    BT_MAX_ANSWER = 640,     /* the largest answer that is kept: a report with 64 classes and 64 features */
    BT_LANE_COMMANDS = 0,    /* ids are even */
    BT_LANE_WINDOWS = 1,     /* ids are odd: windows must not push the answers to commands out */
    BT_LANES = 2
};

typedef struct bt_answer {
    uint32_t id, length; /* id 0: free */
    uint8_t bytes[BT_MAX_ANSWER];
} bt_answer;

typedef struct bt_answers {
    bt_answer kept[BT_LANES][BT_REMEMBERED];
} bt_answers;

void bt_answers_clear(bt_answers *answers);
/* What was said of windows is gone; a repeated request for one learns that (BT_FORGOTTEN), and is not executed. */
void bt_answers_forget_windows(bt_answers *answers);
/* BT_OK and the answer: repeat it. BT_OK and NULL: never seen. BT_FORGOTTEN: seen, or overtaken long ago. */
bt_status bt_answers_find(const bt_answers *answers, uint32_t id, const bt_answer **answer);
void bt_answers_keep(bt_answers *answers, uint32_t id, const uint8_t *bytes, uint32_t length);

#endif
