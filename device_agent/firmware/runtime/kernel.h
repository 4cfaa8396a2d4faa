/* For kernels only: this file's functions get the name of the set they are built for. */
#ifndef BIOTRAIN_KERNEL_H
#define BIOTRAIN_KERNEL_H

#include "arithmetic.h"
#include "operation.h"

#define BT_JOIN_(a, b, c) a##_##b##_##c
#define BT_JOIN(a, b, c) BT_JOIN_(a, b, c)
/* Runs once for each instruction of a new plan: the compiler makes it small. */
#define BT_CHECK(name) __attribute__((cold)) bool BT_JOIN(name, check, BT_KERNEL_SET)(const bt_operands *o)
#define BT_RUN(name) void BT_JOIN(name, run, BT_KERNEL_SET)(const bt_operands *o)

#define BT_DECLARE(name, number, views, immediates, writes) \
    BT_CHECK(name);                                         \
    BT_RUN(name);
BT_OPERATIONS(BT_DECLARE)
#undef BT_DECLARE

/* The first n operands are there and have one shape: what element by element work needs. */
static inline bool bt_elementwise(const bt_operands *o, uint32_t n) {
    for (uint32_t v = 0; v < n; v++)
        if (!o->view[v].rank || !bt_same_shape(&o->view[0], &o->view[v])) return false;
    return true;
}

#endif
