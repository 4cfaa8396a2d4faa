/* The cell of a virtual wearable: a model for boards that have none.
 *
 * Charge: what the board draws all the time (front end, radio), and energy for each window that is inferred or trained,
 * as the plan's model of GAP9 states it. Charger: half the cell's capacity an hour, a tenth of it lost as heat. Heat: one
 * body of 50 K/W (40 cm2 that give 5 W/m2K to still air: 0.004 m2 * 5 W/m2K = 1/50 W/K) and ten minutes. Not modelled:
 * voltage, age, cold, and that an empty board goes out. */
#ifndef BIOTRAIN_CELL_H
#define BIOTRAIN_CELL_H

#include "biotrain/port.h"

/* As options give them, whole numbers. */
enum {
    BT_CELL_PERMILLE,
    BT_CELL_CAPACITY_MAH, /* at 3.7 V; 0: there is no cell */
    BT_CELL_POWER_UW,     /* drawn all the time */
    BT_CELL_INFERENCE_UJ, /* a window */
    BT_CELL_TRAINING_UJ,  /* a window, forward and backward */
    BT_CELL_PLUGGED_S,    /* on the charger from here, seconds since boot... */
    BT_CELL_UNPLUGGED_S,  /* ...to here */
    BT_CELL_SPEED_PERCENT,
    BT_CELL_SETTINGS
};

typedef struct bt_cell {
    uint32_t settings[BT_CELL_SETTINGS];
    float capacity_mj, held_mj, temperature_c;
    uint64_t told_us;
    bt_work done;
} bt_cell;

void bt_cell_init(bt_cell *cell, const uint32_t settings[BT_CELL_SETTINGS]);
/* What it holds at this time, after this work; both only grow. */
bt_power bt_cell_tell(bt_cell *cell, uint64_t now_us, bt_work done);

#endif
