/* Many dot products over the same times: sum[r][c] = a[r] . b[c]. Of at least BT_LONG_DOT products each is summed in the
 * eight lanes of bt_dot, of fewer in order. Tiles of them live in registers; every tile gives the same bits. */
#ifndef BIOTRAIN_DOTS_H
#define BIOTRAIN_DOTS_H

#include "kernel.h"
#include "vector.h"

enum { BT_DOTS = 4, BT_LONG_DOT = 32 };

static inline float dot_in_order(const float *a, const float *b, int32_t n, float sum) {
    for (int32_t i = 0; i < n; i++) sum = fmaf(a[i], b[i], sum);
    return sum;
}

#ifdef BT_VECTOR
/* One lane of a vector is one lane of bt_dot. */
static inline __attribute__((always_inline)) void dot_tile(float sum[BT_DOTS][BT_DOTS], const int32_t rows,
                                                           const int32_t columns, int32_t r, int32_t c, const float *a,
                                                           int32_t a_row, const float *const *b, int32_t n) {
    bt_vector lanes[8];
    int32_t i = 0;
    for (int32_t k = 0; k < rows * columns; k++) lanes[k] = bt_vector_all(0.0f);
    for (; i + 8 <= n; i += 8) {
        bt_vector x[2];
        for (int32_t k = 0; k < columns; k++) x[k] = bt_vector_load(b[c + k] + i);
        for (int32_t j = 0; j < rows; j++) {
            const bt_vector y = bt_vector_load(a + (r + j) * a_row + i);
            for (int32_t k = 0; k < columns; k++)
                lanes[j * columns + k] = bt_vector_fma(y, x[k], lanes[j * columns + k]);
        }
    }
    for (int32_t j = 0; j < rows; j++)
        for (int32_t k = 0; k < columns; k++) {
            bt_vector lane = lanes[j * columns + k];
            float folded[BT_LANES];
            if (i < n) {
                const bt_vector y = bt_vector_load_part(a + (r + j) * a_row + i, 0, n - i);
                const bt_vector x = bt_vector_load_part(b[c + k] + i, 0, n - i);
                lane = bt_vector_choose(bt_vector_fma(y, x, lane), lane, 0, n - i);
            }
            bt_vector_store(folded, lane);
            sum[r + j][c + k] = bt_fold_lanes(folded);
        }
}

static void long_dots(float sum[BT_DOTS][BT_DOTS], const float *a, int32_t a_row, int32_t rows, const float *const *b,
                      int32_t columns, int32_t n) {
    int32_t c = 0;
    for (; c + 2 <= columns; c += 2)
        if (rows == 4) dot_tile(sum, 4, 2, 0, c, a, a_row, b, n);
        else
            for (int32_t r = 0; r < rows; r++) dot_tile(sum, 1, 2, r, c, a, a_row, b, n);
    if (c == columns) return;
    if (rows == 4) dot_tile(sum, 4, 1, 0, c, a, a_row, b, n);
    else
        for (int32_t r = 0; r < rows; r++) dot_tile(sum, 1, 1, r, c, a, a_row, b, n);
}
#endif

#if !defined(BT_PLAIN_LOOPS)
/* Products of four (or two) rows with four columns, of one lane: every `lanes`th value from a and b on. `on`: sums go on
 * from `to`. */
static inline __attribute__((always_inline)) void dots_of_lane(float to[16], const int32_t rows, const int32_t lanes,
                                                               const bool on, const float *a0, int32_t a_row, const float *b0,
                                                               const float *b1, const float *b2, const float *b3,
                                                               int32_t n) {
    const float *a1 = a0 + a_row, *a2 = rows == 4 ? a1 + a_row : a1, *a3 = rows == 4 ? a2 + a_row : a1;
    float s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
    float s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
    if (on) {
        s00 = to[0], s01 = to[1], s02 = to[2], s03 = to[3], s10 = to[4], s11 = to[5], s12 = to[6], s13 = to[7];
        if (rows == 4)
            s20 = to[8], s21 = to[9], s22 = to[10], s23 = to[11], s30 = to[12], s31 = to[13], s32 = to[14], s33 = to[15];
    }
#define BT_OUTER(k)                                                                                             \
    do {                                                                                                        \
        const float x0 = b0[k], x1 = b1[k], x2 = b2[k], x3 = b3[k], y0 = a0[k], y1 = a1[k];                     \
        s00 = fmaf(y0, x0, s00), s01 = fmaf(y0, x1, s01), s02 = fmaf(y0, x2, s02), s03 = fmaf(y0, x3, s03);     \
        s10 = fmaf(y1, x0, s10), s11 = fmaf(y1, x1, s11), s12 = fmaf(y1, x2, s12), s13 = fmaf(y1, x3, s13);     \
        if (rows == 4) {                                                                                        \
            const float y2 = a2[k], y3 = a3[k];                                                                 \
            s20 = fmaf(y2, x0, s20), s21 = fmaf(y2, x1, s21), s22 = fmaf(y2, x2, s22), s23 = fmaf(y2, x3, s23); \
            s30 = fmaf(y3, x0, s30), s31 = fmaf(y3, x1, s31), s32 = fmaf(y3, x2, s32), s33 = fmaf(y3, x3, s33); \
        }                                                                                                       \
    } while (0)
#define BT_ONWARD(k)                                                      \
    do {                                                                  \
        a0 += (k), a1 += (k), b0 += (k), b1 += (k), b2 += (k), b3 += (k); \
        if (rows == 4) a2 += (k), a3 += (k);                              \
    } while (0)
    for (; lanes > 1 && n > 3 * lanes; n -= 4 * lanes) {
        BT_OUTER(0);
        BT_OUTER(lanes);
        BT_OUTER(2 * lanes);
        BT_OUTER(3 * lanes);
        BT_ONWARD(4 * lanes);
    }
    for (; n > 0; n -= lanes) {
        BT_OUTER(0);
        BT_ONWARD(lanes);
    }
    to[0] = s00, to[1] = s01, to[2] = s02, to[3] = s03, to[4] = s10, to[5] = s11, to[6] = s12, to[7] = s13;
    if (rows == 4)
        to[8] = s20, to[9] = s21, to[10] = s22, to[11] = s23, to[12] = s30, to[13] = s31, to[14] = s32, to[15] = s33;
#undef BT_OUTER
#undef BT_ONWARD
}

/* Of lanes `lane`..end-1 of eight: values `lane`, `lane` + 8, ... of 4 or 2 rows. */
static __attribute__((noinline, unused)) void four_by_lanes(float kept[BT_LANES][16], const float *a, int32_t a_row,
                                                            int32_t rows, const float *const *b, int32_t lane,
                                                            int32_t end, int32_t n, bool on) {
    const float *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    if (rows == 4)
        for (int32_t i = lane; i < end; i++)
            dots_of_lane(kept[i], 4, BT_LANES, on, a + i, a_row, b0 + i, b1 + i, b2 + i, b3 + i, n - i);
    else
        for (int32_t i = lane; i < end; i++)
            dots_of_lane(kept[i], 2, BT_LANES, on, a + i, a_row, b0 + i, b1 + i, b2 + i, b3 + i, n - i);
}

/* bt_fold_lanes of one of sixteen sums. */
static inline float fold_dot(const float *k) {
    return ((k[0] + k[4 * 16]) + (k[2 * 16] + k[6 * 16])) + ((k[16] + k[5 * 16]) + (k[3 * 16] + k[7 * 16]));
}
static inline void fold_dots(float sum[BT_DOTS][BT_DOTS], float kept[BT_LANES][16], int32_t rows) {
    const float *k = kept[0];
    for (float *to = sum[0], *const end = to + BT_DOTS * rows; to != end; k++) *to++ = fold_dot(k);
}

static __attribute__((noinline)) void short_dots(float sum[BT_DOTS][BT_DOTS], const float *a, int32_t a_row,
                                                 const float *const *b, int32_t n) {
    dots_of_lane(sum[0], 4, 1, true, a, a_row, b[0], b[1], b[2], b[3], n);
}
#endif

#ifndef BT_VECTOR
#if !defined(BT_PLAIN_LOOPS)
/* bt_dot with its lanes in registers, whatever the compiler makes of arrays. */
static __attribute__((noinline)) float long_dot(const float *a, const float *b, int32_t n) {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (; n >= 8; n -= 8, a += 8, b += 8) {
        s0 = fmaf(a[0], b[0], s0), s1 = fmaf(a[1], b[1], s1), s2 = fmaf(a[2], b[2], s2), s3 = fmaf(a[3], b[3], s3);
        s4 = fmaf(a[4], b[4], s4), s5 = fmaf(a[5], b[5], s5), s6 = fmaf(a[6], b[6], s6), s7 = fmaf(a[7], b[7], s7);
    }
    float lane[BT_LANES] = {s0, s1, s2, s3, s4, s5, s6, s7};
    for (int32_t i = 0; i < n; i++) lane[i] = fmaf(a[i], b[i], lane[i]);
    return bt_fold_lanes(lane);
}
#else
static float long_dot(const float *a, const float *b, int32_t n) { return bt_dot(a, b, (uint32_t)n); }
#endif

static void long_dots(float sum[BT_DOTS][BT_DOTS], const float *a, int32_t a_row, int32_t rows, const float *const *b,
                      int32_t columns, int32_t n) {
#if !defined(BT_PLAIN_LOOPS)
    if ((rows == 4 || rows == 2) && columns == 4) {
        float kept[BT_LANES][16];
        four_by_lanes(kept, a, a_row, rows, b, 0, BT_LANES, n, false);
        fold_dots(sum, kept, rows);
        return;
    }
#endif
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < columns; c++) sum[r][c] = long_dot(a + r * a_row, b[c], n);
}
#endif

/* `on`: sums of fewer than BT_LONG_DOT products go on from what is there. */
static __attribute__((noinline)) void dots(float sum[BT_DOTS][BT_DOTS], const float *a, int32_t a_row, int32_t rows,
                                           const float *const *b, int32_t columns, int32_t n, bool on) {
    if (n >= BT_LONG_DOT) {
        long_dots(sum, a, a_row, rows, b, columns, n);
        return;
    }
    for (int32_t k = 0; !on && k < BT_DOTS * BT_DOTS; k++) sum[k / BT_DOTS][k % BT_DOTS] = 0.0f;
#if !defined(BT_PLAIN_LOOPS)
    if (rows == 4 && columns == 4) {
        short_dots(sum, a, a_row, b, n);
        return;
    }
#endif
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < columns; c++) sum[r][c] = dot_in_order(a + r * a_row, b[c], n, sum[r][c]);
}

#endif
