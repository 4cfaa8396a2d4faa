/* Pools of 2, 4 or 8 values side by side, sixteen cells in a vector (AVX-512), with the operations of norm_relu_pool.c. */
#ifndef BIOTRAIN_POOL_WIDE_H
#define BIOTRAIN_POOL_WIDE_H

#include "kernel.h"
#include <immintrin.h>

#define BT_WIDE static inline __attribute__((always_inline))

BT_WIDE __mmask16 lanes_until(uint32_t count) { return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1); }

/* v holds 16 cells one after the other in `cell` vectors; afterwards to[k] holds value k of each of them. */
BT_WIDE void deal_cells(const __m512 *v, __m512 *to, const uint32_t cell) {
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __m512 half[2][4];
    for (uint32_t i = 0; i < cell / 2; i++) {
        half[0][i] = _mm512_permutex2var_ps(v[2 * i], even, v[2 * i + 1]);
        half[1][i] = _mm512_permutex2var_ps(v[2 * i], odd, v[2 * i + 1]);
    }
    /* written out: always_inline functions do not call themselves */
    for (uint32_t side = 0; side < 2; side++) {
        if (cell == 2) {
            to[side] = half[side][0];
            continue;
        }
        __m512 quarter[2][2];
        for (uint32_t i = 0; i < cell / 4; i++) {
            quarter[0][i] = _mm512_permutex2var_ps(half[side][2 * i], even, half[side][2 * i + 1]);
            quarter[1][i] = _mm512_permutex2var_ps(half[side][2 * i], odd, half[side][2 * i + 1]);
        }
        for (uint32_t other = 0; other < 2; other++) {
            const uint32_t k = side + 2 * other;
            if (cell == 4) {
                to[k] = quarter[other][0];
                continue;
            }
            to[k] = _mm512_permutex2var_ps(quarter[other][0], even, quarter[other][1]);
            to[(k + 4)] = _mm512_permutex2var_ps(quarter[other][0], odd, quarter[other][1]);
        }
    }
}

/* y[0..cells) = the mean of each cell of x behind (x - mean) * gain + beta and ReLU. */
BT_WIDE void pool_cells(const float *x, float *y, uint32_t cells, const uint32_t cell, float mean, float gain, float beta,
                        float share) {
    const __m512 shift = _mm512_set1_ps(mean), scale = _mm512_set1_ps(gain), offset = _mm512_set1_ps(beta);
    for (uint32_t c = 0; c < cells; c += 16) {
        const uint32_t count = cells - c < 16 ? cells - c : 16, values = count * cell;
        __m512 v[8], to[8];
        for (uint32_t i = 0; i < cell; i++) {
            const __mmask16 there = lanes_until(values > 16 * i ? values - 16 * i : 0);
            v[i] = _mm512_fmadd_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, x + c * cell + 16 * i), shift), scale, offset);
            v[i] = _mm512_mask_mov_ps(v[i], _mm512_cmp_ps_mask(v[i], _mm512_setzero_ps(), _CMP_LT_OQ), _mm512_setzero_ps());
        }
        deal_cells(v, to, cell);
        __m512 sum = _mm512_add_ps(_mm512_setzero_ps(), to[0]);
        for (uint32_t k = 1; k < cell; k++) sum = _mm512_add_ps(sum, to[k]);
        _mm512_mask_storeu_ps(y + c, lanes_until(count), _mm512_mul_ps(sum, _mm512_set1_ps(share)));
    }
}

/* Whether cells of this width go this way; y then holds what pool_cells says. */
static bool pool_wide(const float *x, float *y, uint32_t cells, uint32_t cell, float mean, float gain, float beta, float share) {
    if (cell == 8) pool_cells(x, y, cells, 8, mean, gain, beta, share);
    else if (cell == 4) pool_cells(x, y, cells, 4, mean, gain, beta, share);
    else if (cell == 2) pool_cells(x, y, cells, 2, mean, gain, beta, share);
    else return false;
    return true;
}

/* g[0..stop - i) = share times what the cells of values i..stop-1 of a row were given, 0 from `end` on. */
static void spread_row(const float *dy, uint32_t cells, uint32_t cell, float share, uint32_t i, uint32_t stop, uint32_t end,
                       float *g) {
    const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const uint32_t shift = (uint32_t)__builtin_ctz(cell);
    const __m512i from = _mm512_srl_epi32(_mm512_add_epi32(iota, _mm512_set1_epi32((int32_t)(i & (cell - 1)))),
                                          _mm_cvtsi32_si128((int32_t)shift));
    for (; i < stop; i += 16, g += 16) {
        const uint32_t first = i >> shift, left = first < cells ? cells - first : 0;
        const __m512 given = _mm512_permutexvar_ps(from, _mm512_maskz_loadu_ps(lanes_until(left), dy + first));
        const __m512 value = _mm512_add_ps(_mm512_setzero_ps(), _mm512_mul_ps(given, _mm512_set1_ps(share)));
        _mm512_mask_storeu_ps(g, lanes_until(stop - i), _mm512_maskz_mov_ps(lanes_until(i < end ? end - i : 0), value));
    }
}

BT_WIDE bool spreads_wide(uint32_t cell) { return cell == 2 || cell == 4 || cell == 8 || cell == 16; }

#endif
