#include "cell.h"

#define VOLTS 3.7f
#define AMBIENT_C 30.0f /* between skin and room */
#define KELVIN_A_MW 0.05f
#define SLOW_S 600.0f
#define CHARGE_LOSS 0.1f
enum { SHORTEST_MS = 100 }; /* less is added up: single precision would lose it */

void bt_cell_init(bt_cell *cell, const uint32_t settings[BT_CELL_SETTINGS]) {
    for (int i = 0; i < BT_CELL_SETTINGS; i++) cell->settings[i] = settings[i];
    cell->capacity_mj = (float)settings[BT_CELL_CAPACITY_MAH] * VOLTS * 3600.0f;
    cell->held_mj = cell->capacity_mj * (float)settings[BT_CELL_PERMILLE] / 1000.0f;
    cell->temperature_c = AMBIENT_C + KELVIN_A_MW * (float)settings[BT_CELL_POWER_UW] / 1000.0f; /* as after a while */
    cell->told_us = 0;
    cell->done = (bt_work){0};
}

/* Seconds of the time from `from` to `to` that were spent on the charger. */
static float plugged_s(const bt_cell *cell, uint64_t from, uint64_t to) {
    const uint64_t start = 1000000ull * cell->settings[BT_CELL_PLUGGED_S];
    const uint64_t end = 1000000ull * cell->settings[BT_CELL_UNPLUGGED_S];
    if (from < start) from = start;
    if (to > end) to = end;
    return from < to ? (float)(uint32_t)((to - from) / 1000) / 1000.0f : 0.0f;
}

static void pass(bt_cell *cell, uint64_t now_us, bt_work done) {
    const uint32_t *set = cell->settings;
    const uint32_t ms = (uint32_t)((now_us - cell->told_us) / 1000);
    if (ms < SHORTEST_MS) return;
    const float speed = (float)set[BT_CELL_SPEED_PERCENT] / 100.0f, seconds = (float)ms / 1000.0f * speed;
    const float drawn_mj = ((float)set[BT_CELL_POWER_UW] * seconds +
                            (float)set[BT_CELL_INFERENCE_UJ] * (float)(done.inferred - cell->done.inferred) +
                            (float)set[BT_CELL_TRAINING_UJ] * (float)(done.trained - cell->done.trained)) /
                           1000.0f;
    const float charger_mw = cell->capacity_mj / 3600.0f / 2.0f;
    const float room_mj = cell->capacity_mj - cell->held_mj + drawn_mj;
    float stored_mj = charger_mw * plugged_s(cell, cell->told_us, now_us) * speed;
    if (stored_mj > room_mj) stored_mj = room_mj;
    cell->held_mj += stored_mj - drawn_mj;
    if (cell->held_mj < 0.0f) cell->held_mj = 0.0f;
    const float warm_c = AMBIENT_C + KELVIN_A_MW * (drawn_mj + CHARGE_LOSS * stored_mj) / seconds;
    cell->temperature_c += (warm_c - cell->temperature_c) * seconds / (SLOW_S + seconds); /* stable for any step */
    cell->told_us += 1000ull * ms;
    cell->done = done;
}

bt_power bt_cell_tell(bt_cell *cell, uint64_t now_us, bt_work done) {
    if (cell->capacity_mj == 0.0f) return (bt_power){BT_UNTOLD, BT_UNTOLD, BT_UNTOLD};
    pass(cell, now_us, done);
    const uint64_t seconds = now_us / 1000000;
    return (bt_power){
        .battery_permille = (int32_t)(1000.0f * cell->held_mj / cell->capacity_mj + 0.5f),
        .charging = seconds >= cell->settings[BT_CELL_PLUGGED_S] && seconds < cell->settings[BT_CELL_UNPLUGGED_S],
        .temperature_decicelsius = (int32_t)(10.0f * cell->temperature_c + 0.5f),
    };
}
