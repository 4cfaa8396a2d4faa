#ifndef BIOTRAIN_EXECUTE_H
#define BIOTRAIN_EXECUTE_H

#include "operation.h"

/* The fastest kernels that this processor can run. All sets give the same bits. */
const bt_operation *bt_select_operations(void);

/* Run an entry of a plan that bt_plan_open has accepted. */
void bt_execute(const bt_plan *plan, bt_entry entry, uint8_t *const region[BT_REGION_COUNT],
                const bt_operation *operations, const bt_run *run);

/* Where a view lies outside all loops. */
bt_tensor bt_locate(const bt_plan *plan, uint32_t view, uint8_t *const region[BT_REGION_COUNT]);

#endif
