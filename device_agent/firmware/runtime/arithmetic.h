/* Arithmetic with one meaning on every port: explicit fmaf, stated orders of summation, and functions of our own
 * instead of the C library's (docs/arithmetic.md). */
#ifndef BIOTRAIN_ARITHMETIC_H
#define BIOTRAIN_ARITHMETIC_H

#include <math.h>
#include <stdint.h>

float bt_expf(float x);
float bt_logf(float x);
/* exp(x) - 1 without cancelling near 0. */
float bt_expm1f(float x);
float bt_tanhf(float x);
float bt_erff(float x);
/* cos(pi * x) for 0 <= x <= 1. */
float bt_cospif(float x);

enum { BT_LANES = 8 };

/* Lanes are folded as ((0+4)+(2+6)) + ((1+5)+(3+7)). */
static inline float bt_fold_lanes(const float lane[BT_LANES]) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* Sum of n values: value i goes to lane i mod 8, in order; then the lanes are folded. */
static inline float bt_sum(const float *x, uint32_t n) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] += x[i + j];
    for (uint32_t j = 0; i + j < n; j++) lane[j] += x[i + j];
    return bt_fold_lanes(lane);
}

/* Sum of products, same lanes, fmaf(x, y, lane). */
static inline float bt_dot(const float *x, const float *y, uint32_t n) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] = fmaf(x[i + j], y[i + j], lane[j]);
    for (uint32_t j = 0; i + j < n; j++) lane[j] = fmaf(x[i + j], y[i + j], lane[j]);
    return bt_fold_lanes(lane);
}

/* A uniform 32-bit number from a key and a counter: splitmix64's finaliser over key * 2^32 + counter. */
static inline uint32_t bt_hash_counter(uint32_t key, uint32_t counter) {
    uint64_t z = (((uint64_t)key << 32) | counter) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}
/* The same, for one window: called, not built in. */
uint32_t bt_window_key(uint32_t key, uint32_t counter);

#endif
