/* The analogue front end: what a board's driver gives, and what it calls. front_end_none.c is the one without
 * electrodes; a board has a file of its own instead of it (Makefile, FRONT_END). */
#ifndef BIOTRAIN_GAP9_FRONT_END_H
#define BIOTRAIN_GAP9_FRONT_END_H

#include "gap9.h"

typedef struct bt_front_end {
    uint32_t channels, samples; /* of a window; 0 channels: none */
    uint32_t period_us;         /* from one window's end to the next one's */
    const float *scale;         /* units of one count, for each channel */
} bt_front_end;

/* Fabric controller: power the converter, set its gains and rate. What it returns stays. NULL when it does not answer. */
const bt_front_end *bt_front_end_open(bt_port *port);
/* Conversion begins, ends. Asked for by the app's side: take note, and let the next interrupt act. */
void bt_front_end_start(bt_port *port);
void bt_front_end_stop(bt_port *port);

/* The driver calls this, on the fabric controller, when a window is complete: [channels][samples] in L2, which stay as they
 * are for BT_FRONT_END_WINDOWS more periods. */
void bt_front_end_complete(bt_port *port, const int16_t *counts, uint64_t ended_us);

#endif
