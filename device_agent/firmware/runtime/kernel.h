/* For kernels only: this file's functions get the name of the set they are built for. */
#ifndef BIOTRAIN_KERNEL_H
#define BIOTRAIN_KERNEL_H

#include "arithmetic.h"
#include "operation.h"

#define BT_JOIN_(a, b, c) a##_##b##_##c
#define BT_JOIN(a, b, c) BT_JOIN_(a, b, c)
#define BT_CHECK(name) bool BT_JOIN(name, check, BT_KERNEL_SET)(const bt_operands *o)
#define BT_RUN(name) void BT_JOIN(name, run, BT_KERNEL_SET)(const bt_operands *o)

#define BT_DECLARE(name, number, views, immediates, writes) \
    BT_CHECK(name);                                         \
    BT_RUN(name);
BT_OPERATIONS(BT_DECLARE)
#undef BT_DECLARE

#endif
