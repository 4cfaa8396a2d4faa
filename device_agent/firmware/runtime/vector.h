/* Eight float32 values at once, on processors that have fused multiply-adds of vectors (BT_VECTOR is defined then).
 * Each lane is the scalar operation: vectors go across outputs, or across the eight lanes of a stated sum. */
#ifndef BIOTRAIN_VECTOR_H
#define BIOTRAIN_VECTOR_H

#include <stdint.h>

#if defined(__AVX2__) && defined(__FMA__) && !defined(BT_PLAIN_LOOPS)
#define BT_VECTOR 1
#include <immintrin.h>

typedef __m256 bt_vector;

static inline bt_vector bt_vector_load(const float *x) { return _mm256_loadu_ps(x); }
static inline void bt_vector_store(float *x, bt_vector a) { _mm256_storeu_ps(x, a); }
static inline bt_vector bt_vector_all(float x) { return _mm256_set1_ps(x); }
static inline bt_vector bt_vector_fma(bt_vector a, bt_vector b, bt_vector c) { return _mm256_fmadd_ps(a, b, c); }
static inline bt_vector bt_vector_add(bt_vector a, bt_vector b) { return _mm256_add_ps(a, b); }
static inline bt_vector bt_vector_subtract(bt_vector a, bt_vector b) { return _mm256_sub_ps(a, b); }

/* All ones in lanes from..to-1; from may be below 0, to above 8. */
static inline __m256i bt_vector_mask(int32_t from, int32_t to) {
    static const int32_t ones[24] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    const __m256i begin = _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - (from < 0 ? 0 : from)));
    return _mm256_and_si256(begin, _mm256_loadu_si256((const __m256i *)(const void *)(ones + 16 - (to > 8 ? 8 : to))));
}
/* Lanes from..to-1 of x[0..8); 0 in the others, which are not read. */
static inline bt_vector bt_vector_load_part(const float *x, int32_t from, int32_t to) {
    return _mm256_maskload_ps(x, bt_vector_mask(from, to));
}
static inline void bt_vector_store_part(float *x, bt_vector a, int32_t to) {
    _mm256_maskstore_ps(x, bt_vector_mask(0, to), a);
}
/* a in lanes from..to-1, b in the others. */
static inline bt_vector bt_vector_choose(bt_vector a, bt_vector b, int32_t from, int32_t to) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(bt_vector_mask(from, to)));
}

#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(BT_PLAIN_LOOPS)
#define BT_VECTOR 1
#include <arm_neon.h>

typedef struct bt_vector {
    float32x4_t low, high;
} bt_vector;

static inline bt_vector bt_vector_load(const float *x) { return (bt_vector){vld1q_f32(x), vld1q_f32(x + 4)}; }
static inline void bt_vector_store(float *x, bt_vector a) {
    vst1q_f32(x, a.low);
    vst1q_f32(x + 4, a.high);
}
static inline bt_vector bt_vector_all(float x) { return (bt_vector){vdupq_n_f32(x), vdupq_n_f32(x)}; }
static inline bt_vector bt_vector_fma(bt_vector a, bt_vector b, bt_vector c) {
    return (bt_vector){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
static inline bt_vector bt_vector_add(bt_vector a, bt_vector b) {
    return (bt_vector){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
}
static inline bt_vector bt_vector_subtract(bt_vector a, bt_vector b) {
    return (bt_vector){vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
}
static inline bt_vector bt_vector_load_part(const float *x, int32_t from, int32_t to) {
    float part[8] = {0};
    for (int32_t i = from < 0 ? 0 : from; i < to && i < 8; i++) part[i] = x[i];
    return bt_vector_load(part);
}
static inline void bt_vector_store_part(float *x, bt_vector a, int32_t to) {
    float part[8];
    bt_vector_store(part, a);
    for (int32_t i = 0; i < to && i < 8; i++) x[i] = part[i];
}
static inline bt_vector bt_vector_choose(bt_vector a, bt_vector b, int32_t from, int32_t to) {
    float chosen[8], other[8];
    bt_vector_store(chosen, a);
    bt_vector_store(other, b);
    for (int32_t i = 0; i < 8; i++)
        if (i < from || i >= to) chosen[i] = other[i];
    return bt_vector_load(chosen);
}
#endif

#endif
