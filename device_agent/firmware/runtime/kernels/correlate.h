/* The one loop nest that all three passes of a convolution of stride 1 are made of:
 *   out[r][j] = init[r] + sum over a < n1, b < n2, i < taps, in this order, of w[r][a][b][i] * in[a][b][j + i + shift]
 * leaving out what lies beside the row of in. Forward: r output channels, i the kernel's columns. Input gradient: r
 * input channels, i the kernel's columns from the last to the first. Weight gradient: j the kernel's columns, i the
 * times of dy, which stands in the place of w.
 * Tiles of outputs live in registers and the input slides through them; every order of tiles gives the same bits. */
#ifndef BIOTRAIN_CORRELATE_H
#define BIOTRAIN_CORRELATE_H

#include "kernel.h"
#include "vector.h"

enum { BT_TILE_ROWS = 4 };

typedef struct sweep {
    const float *w;
    int32_t w_row, w_step, taps; /* w[r * w_row + a * w1 + b * w2 + i * w_step]; w_step is 1 or -1 */
    const float *in;
    int32_t width, shift;
    int32_t n1, in1, w1, n2, in2, w2;
} sweep;

#define BT_INLINE static inline __attribute__((always_inline))
#define BT_APART static __attribute__((noinline))
/* Rarely run: the compiler makes it small. */
#define BT_RARE static __attribute__((noinline, cold, unused))

/* The plain loops: out[r][j] += the sweep, outputs from..to-1, one after the other. */
BT_RARE void correlate_plain(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t j = from; j < to; j++) {
            float sum = out[r * out_row + j];
            for (int32_t a = 0; a < s->n1; a++)
                for (int32_t b = 0; b < s->n2; b++)
                    for (int32_t i = 0; i < s->taps; i++) {
                        const int32_t at = j + i + s->shift;
                        if (at < 0 || at >= s->width) continue;
                        sum = fmaf(s->w[r * s->w_row + a * s->w1 + b * s->w2 + i * s->w_step],
                                   s->in[a * s->in1 + b * s->in2 + at], sum);
                    }
            out[r * out_row + j] = sum;
        }
}

BT_RARE void correlate_begin(float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to, const float *init) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t j = from; j < to; j++) out[r * out_row + j] = init[r];
}

#if defined(BT_PLAIN_LOOPS)
static void correlate_rows(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                           const float *init) {
    correlate_begin(out, out_row, rows, from, to, init);
    correlate_plain(s, out, out_row, rows, from, to);
}
#elif defined(__AVX512F__)
#include "correlate_wide.h"
#elif defined(BT_VECTOR)
#include "correlate_vector.h"
#else
#include "correlate_scalar.h"
#endif

/* Outputs from..to-1 of 1 to BT_TILE_ROWS rows; init may be NULL for zeros. */
static void correlate(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                      const float *init) {
    static const float zeros[BT_TILE_ROWS] = {0};
    correlate_rows(s, out, out_row, rows, from, to, init ? init : zeros);
}

#endif
