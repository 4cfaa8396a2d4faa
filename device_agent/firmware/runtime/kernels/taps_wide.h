/* The weight gradient of kernels of 8 or 16 columns without padding, sixteen columns in a vector (AVX-512): several input
 * channels at once, two of them in a vector where the kernel has 8 columns. Each column's sum: 0, then output row and
 * column, ascending. */
#ifndef BIOTRAIN_TAPS_WIDE_H
#define BIOTRAIN_TAPS_WIDE_H

#include "conv_shape.h"
#include "correlate.h"

enum { TAPS_VECTORS = 4 };

BT_INLINE int32_t taps_channels(int32_t tiled) { return TAPS_VECTORS * 16 / tiled; }

/* `rows` output channels of dy [rows][ho][wo] by vectors of x, whose channels are `x_channel` apart. */
BT_INLINE void taps_tile(__m512 *sum, const int32_t rows, const int32_t vectors, const int32_t tiled, const conv *s,
                         const float *dy, const float *x) {
    const int32_t x_channel = s->h * s->pitch;
    BT_ALL for (int32_t k = 0; k < rows * vectors; k++) sum[k] = _mm512_setzero_ps();
    for (int32_t row = 0; row < s->ho; row++, dy += s->wo, x += s->pitch)
        for (int32_t t = 0; t < s->wo; t++) {
            __m512 in[TAPS_VECTORS];
            BT_ALL for (int32_t v = 0; v < vectors; v++)
                if (tiled == 16) in[v] = _mm512_loadu_ps(x + v * x_channel + t);
                else
                    in[v] = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(x + 2 * v * x_channel + t)),
                                               _mm256_loadu_ps(x + (2 * v + 1) * x_channel + t), 1);
            BT_ALL for (int32_t r = 0; r < rows; r++) {
                const __m512 k = _mm512_set1_ps(dy[r * s->ho * s->wo + t]);
                BT_ALL for (int32_t v = 0; v < vectors; v++)
                    sum[r * vectors + v] = _mm512_fmadd_ps(k, in[v], sum[r * vectors + v]);
            }
        }
}

/* All whole tiles of columns of `count` output channels from co, input channels ci..ci + taps_channels - 1 of a group,
 * kernel row kh; dw is theirs. */
BT_INLINE void taps_add(const int32_t rows, const int32_t tiled, const conv *s, const float *dy, const float *x, float *dw) {
    __m512 sum[BT_TILE_ROWS * TAPS_VECTORS];
    const int32_t in_each = 16 / tiled, dw_channel = s->kh * s->kw;
    taps_tile(sum, rows, TAPS_VECTORS, tiled, s, dy, x);
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < TAPS_VECTORS * in_each; c++) {
            float *to = dw + r * s->group_in * dw_channel + c * dw_channel;
            const __m512 all = sum[r * TAPS_VECTORS + c / in_each];
            if (tiled == 16) _mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), all));
            else
                _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), c % 2 ? _mm512_extractf32x8_ps(all, 1)
                                                                              : _mm512_castps512_ps256(all)));
        }
}

/* Whether all of a convolution's whole tiles of columns go this way. */
BT_INLINE bool taps_together(const conv *s, int32_t tiled) {
    return (tiled == 8 || tiled == 16) && !(s->top | s->bottom | s->left | s->right) &&
           s->group_in % taps_channels(tiled) == 0 && s->group_out % BT_TILE_ROWS == 0;
}

BT_APART void taps_piece(const bt_operands *o, const conv *s, int32_t tiled, int32_t index) {
    const int32_t channels = taps_channels(tiled), groups_in = s->group_in / channels;
    const int32_t kh = index % s->kh, ci = index / s->kh % groups_in * channels;
    const int32_t co = index / s->kh / groups_in * BT_TILE_ROWS;
    const float *dy = o->view[1].data + co * s->ho * s->wo;
    const float *x = o->view[0].data + (co / s->group_out * s->group_in + ci) * s->h * s->pitch + kh * s->dilation_h * s->pitch;
    float *dw = o->view[2].data + ((co * s->group_in + ci) * s->kh + kh) * s->kw;
    if (tiled == 16) taps_add(BT_TILE_ROWS, 16, s, dy, x, dw);
    else taps_add(BT_TILE_ROWS, 8, s, dy, x, dw);
}

#endif
