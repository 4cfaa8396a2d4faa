/* The learning rate of each step. */
#include "arithmetic.h"
#include "biotrain/engine.h"

float bt_cosine_rate(float base, uint32_t step, uint32_t steps) {
    if (steps == 0 || step >= steps) return 0.0f;
    return 0.5f * base * (1.0f + bt_cospif((float)step / (float)steps));
}

float bt_scheduled_rate(bt_schedule schedule, float base, uint32_t warm_up, uint32_t step, uint32_t steps) {
    if (step < warm_up) return base * ((float)(step + 1) / (float)warm_up);
    if (schedule == BT_SCHEDULE_CONSTANT) return base;
    return steps > warm_up ? bt_cosine_rate(base, step - warm_up, steps - warm_up) : 0.0f;
}
