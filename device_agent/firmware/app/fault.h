/* Where in the network a fit went wrong, in words. */
#ifndef BIOTRAIN_FAULT_H
#define BIOTRAIN_FAULT_H

#include "biotrain/plan.h"
#include "event.h"

#define BT_NO_FAULT (UINT32_MAX - 1)

/* Adds " in LAYER" to what `detail` says, or " in a window": LAYER is that of the parameter whose values hold the byte
 * at `weights_offset`, by the plan's names. Of a long name the end is kept. */
void bt_fault_place(const bt_plan *plan, uint32_t weights_offset, char detail[BT_EVENT_DETAIL_BYTES]);

#endif
