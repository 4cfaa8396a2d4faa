/* The operations of one kernel set, by number. */
#include "kernel.h"

#define BT_ENTRY_OF(name, number, n_views, n_immediates, write_mask)         \
    [number] = {n_views, n_immediates, write_mask, BT_JOIN(name, check, BT_KERNEL_SET), BT_JOIN(name, run, BT_KERNEL_SET)},
#define BT_TABLE_(set) bt_operations_##set
#define BT_TABLE(set) BT_TABLE_(set)

bt_operation_table BT_TABLE(BT_KERNEL_SET) = {BT_OPERATIONS(BT_ENTRY_OF)};
