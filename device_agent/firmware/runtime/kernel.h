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
        if (!o->view[v].of->rank || !bt_same_shape(&o->view[0], &o->view[v])) return false;
    return true;
}

/* Element by element work in stretches of whole tiles of 8, as many as a cluster has cores; of little, one. */
#if defined(__riscv)
enum { BT_STRETCHES = 8 };
#else
enum { BT_STRETCHES = 1 };
#endif

static inline uint32_t bt_stretch_end(uint32_t count, uint32_t index) {
    if (count < 128) return count;
    const uint32_t end = ((count + 8 * BT_STRETCHES - 1) / (8 * BT_STRETCHES)) * 8 * (index + 1);
    return end < count ? end : count;
}
static inline uint32_t bt_stretch_begin(uint32_t count, uint32_t index) {
    return index ? bt_stretch_end(count, index - 1) : 0;
}
/* Run `piece` for each stretch of `count` elements. */
static inline void bt_stretches(bt_port *port, bt_piece piece, const bt_operands *o, uint32_t count) {
    bt_port_parallel(port, piece, (void *)(uintptr_t)o, count < 128 ? 1 : BT_STRETCHES);
}
#define BT_UNROLL _Pragma("GCC unroll 4")
#define BT_EIGHT _Pragma("GCC unroll 8")

#endif
