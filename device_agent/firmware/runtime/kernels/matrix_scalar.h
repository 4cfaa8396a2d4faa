/* Convolutions that are products of matrices, on cores with 32 float registers: the kernel is one column wide and one
 * row high, or as high as the map, and nothing is padded. With n = input channels x kernel rows and p positions:
 *   forward         y[co][p]  = bias[co] + sum over i < n of w[co][i] x[i][p]
 *   input gradient  dx[i][p]  = sum over co of w[co][i] dy[co][p]
 *   weight gradient dw[co][i] += sum over p of dy[co][p] x[i][p], in order, or in eight lanes (BT_LONG_DOT and more)
 * Tiles of 4 rows x 5 positions live in registers; sums run in the order of conv2d.c. */
#ifndef BIOTRAIN_MATRIX_SCALAR_H
#define BIOTRAIN_MATRIX_SCALAR_H

#include "conv_shape.h"
#include "dots.h"

enum { MATRIX_ROWS = 4, MATRIX_COLUMNS = 5 };

typedef struct matrix {
    const float *w, *in, *init;
    float *out;
    int32_t n, outputs, positions, blocks, stretch; /* n: products of a sum; stretch: positions of a piece */
} matrix;

/* Whether it is one; its positions and products. */
static bool matrix_of(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y, matrix *m) {
    const uint32_t *set = o->immediate, rows = w->dims[2];
    if (w->dims[3] != 1 || set[8] != 1 || set[2] | set[3] | set[4] | set[5] || set[1] != 1) return false;
    if (rows != 1 && (rows != x->dims[1] || set[6] != 1)) return false;
    if (rows == 1 && set[0] != 1) return false;
    m->w = w->data;
    m->n = (int32_t)(w->dims[1] * rows);
    m->outputs = (int32_t)w->dims[0];
    m->positions = (int32_t)(y->dims[1] * y->dims[2]);
    return m->positions >= MATRIX_COLUMNS;
}

/* Tiles take four rows; positions are dealt out until cores have enough to do. */
static uint32_t matrix_pieces(matrix *m, int32_t rows) {
    m->blocks = rows / MATRIX_ROWS;
    m->stretch = m->positions;
    if (m->blocks >= 8 || m->positions < 64) return (uint32_t)m->blocks;
    const int32_t stretches = conv_least(8 / m->blocks, m->positions / 32);
    m->stretch = ((m->positions + stretches - 1) / stretches + MATRIX_COLUMNS - 1) / MATRIX_COLUMNS * MATRIX_COLUMNS;
    return (uint32_t)(m->blocks * ((m->positions + m->stretch - 1) / m->stretch));
}

#define BT_FIVE(p, k) \
    p##0 = fmaf(k, x0, p##0), p##1 = fmaf(k, x1, p##1), p##2 = fmaf(k, x2, p##2), p##3 = fmaf(k, x3, p##3), p##4 = fmaf(k, x4, p##4)
#define BT_PRODUCT(a, b, c, d)                                                             \
    do {                                                                                   \
        const float k0 = a, k1 = b, k2 = c, k3 = d;                                        \
        const float x0 = in[0], x1 = in[1], x2 = in[2], x3 = in[3], x4 = in[4];            \
        in += step;                                                                        \
        BT_FIVE(p, k0);                                                                    \
        BT_FIVE(q, k1);                                                                    \
        BT_FIVE(r, k2);                                                                    \
        BT_FIVE(t, k3);                                                                    \
    } while (0)
#define BT_PUT_FIVE(p) y[0] = p##0, y[1] = p##1, y[2] = p##2, y[3] = p##3, y[4] = p##4

/* Rows of w are `row` apart; within a sum its values are side by side (`back` is false), or `row` apart while the rows
 * of a tile are side by side. */
static inline __attribute__((always_inline)) void matrix_tiles(const matrix *m, const bool back, const float *w,
                                                               int32_t row, int32_t n, const float *in, float *y,
                                                               const float *init, int32_t count) {
    const int32_t step = m->positions;
    const float *const first = in, *const start = w;
    float *const to = y;
    for (int32_t j = 0; j < count; j += MATRIX_COLUMNS) {
        if (j + MATRIX_COLUMNS > count) j = count - MATRIX_COLUMNS; /* again what the tile before has */
        const float i0 = init ? init[0] : 0.0f, i1 = init ? init[1] : 0.0f, i2 = init ? init[2] : 0.0f;
        const float i3 = init ? init[3] : 0.0f;
        float p0 = i0, p1 = i0, p2 = i0, p3 = i0, p4 = i0, q0 = i1, q1 = i1, q2 = i1, q3 = i1, q4 = i1;
        float r0 = i2, r1 = i2, r2 = i2, r3 = i2, r4 = i2, t0 = i3, t1 = i3, t2 = i3, t3 = i3, t4 = i3;
        w = start, in = first + j, y = to + j;
        if (back) {
            const float *const end = w + n * row;
            while (w != end) {
                BT_PRODUCT(w[0], w[1], w[2], w[3]);
                w += row;
            }
        } else {
            const float *v1 = w + row, *v2 = v1 + row, *v3 = v2 + row, *const end = w + n, *const whole = w + (n & ~3);
            for (; w != whole; w += 4, v1 += 4, v2 += 4, v3 += 4) {
                BT_PRODUCT(w[0], v1[0], v2[0], v3[0]);
                BT_PRODUCT(w[1], v1[1], v2[1], v3[1]);
                BT_PRODUCT(w[2], v1[2], v2[2], v3[2]);
                BT_PRODUCT(w[3], v1[3], v2[3], v3[3]);
            }
            for (; w != end; w++, v1++, v2++, v3++) BT_PRODUCT(w[0], v1[0], v2[0], v3[0]);
        }
        BT_PUT_FIVE(p);
        y += step;
        BT_PUT_FIVE(q);
        y += step;
        BT_PUT_FIVE(r);
        y += step;
        BT_PUT_FIVE(t);
    }
}

static void matrix_forward_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    const int32_t block = (int32_t)index % m->blocks, from = (int32_t)index / m->blocks * m->stretch;
    const int32_t row = block * MATRIX_ROWS;
    matrix_tiles(m, false, m->w + row * m->n, m->n, m->n, m->in + from, m->out + row * m->positions + from,
                 m->init ? m->init + row : NULL, conv_least(m->stretch, m->positions - from));
}

static void matrix_back_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    const int32_t block = (int32_t)index % m->blocks, from = (int32_t)index / m->blocks * m->stretch;
    const int32_t row = block * MATRIX_ROWS;
    matrix_tiles(m, true, m->w + row, m->n, m->outputs, m->in + from, m->out + row * m->positions + from, NULL,
                 conv_least(m->stretch, m->positions - from));
}

/* False where it is not such a convolution, or not in whole tiles. */
static bool matrix_forward(const bt_operands *o) {
    matrix m;
    if (!matrix_of(o, &o->view[0], &o->view[1], &o->view[3], &m) || m.outputs % MATRIX_ROWS) return false;
    m.in = o->view[0].data, m.out = o->view[3].data, m.init = o->view[2].data;
    bt_port_parallel(o->run->port, matrix_forward_piece, &m, matrix_pieces(&m, m.outputs));
    return true;
}

static bool matrix_input_gradient(const bt_operands *o) {
    matrix m;
    if (!matrix_of(o, &o->view[2], &o->view[1], &o->view[0], &m) || m.n % MATRIX_ROWS) return false;
    m.in = o->view[0].data, m.out = o->view[2].data;
    bt_port_parallel(o->run->port, matrix_back_piece, &m, matrix_pieces(&m, m.n));
    return true;
}

/* Five positions: those of four input rows stay in registers, and the outputs go by. */
static void matrix_weight_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    const float *x = m->in + (int32_t)index * MATRIX_ROWS * MATRIX_COLUMNS, *dy = m->init;
    float *dw = m->out + (int32_t)index * MATRIX_ROWS;
    const float a0 = x[0], a1 = x[1], a2 = x[2], a3 = x[3], a4 = x[4], b0 = x[5], b1 = x[6], b2 = x[7], b3 = x[8], b4 = x[9];
    x += 2 * MATRIX_COLUMNS;
    const float c0 = x[0], c1 = x[1], c2 = x[2], c3 = x[3], c4 = x[4], d0 = x[5], d1 = x[6], d2 = x[7], d3 = x[8], d4 = x[9];
    const int32_t row = m->n;
#define BT_DOT_FIVE(a) fmaf(y4, a##4, fmaf(y3, a##3, fmaf(y2, a##2, fmaf(y1, a##1, fmaf(y0, a##0, 0.0f)))))
    for (const float *const end = dy + m->outputs * MATRIX_COLUMNS; dy != end; dy += MATRIX_COLUMNS, dw += row) {
        const float y0 = dy[0], y1 = dy[1], y2 = dy[2], y3 = dy[3], y4 = dy[4];
        const float a = BT_DOT_FIVE(a), b = BT_DOT_FIVE(b), c = BT_DOT_FIVE(c), d = BT_DOT_FIVE(d);
        dw[0] += a, dw[1] += b, dw[2] += c, dw[3] += d;
    }
#undef BT_DOT_FIVE
}

/* Many positions: the sums of four outputs with four rows of the input, lane by lane. */
static void matrix_lanes_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    const int32_t row = (int32_t)index / m->blocks * MATRIX_ROWS, i = (int32_t)index % m->blocks * BT_DOTS, p = m->positions;
    const float *x = m->in + i * p, *const columns[BT_DOTS] = {x, x + p, x + 2 * p, x + 3 * p};
    float kept[BT_LANES][16], *dw = m->out + row * m->n + i;
    four_by_lanes(kept, m->init + row * p, p, MATRIX_ROWS, columns, 0, BT_LANES, p);
    for (const float *k = kept[0], *const end = kept[1]; k != end; k += BT_DOTS, dw += m->n)
        for (int32_t c = 0; c < BT_DOTS; c++) dw[c] += 0.0f + fold_dot(k + c);
}

static bool matrix_weight_gradient(const bt_operands *o) {
    matrix m;
    if (o->view[3].rank || !matrix_of(o, &o->view[0], &o->view[2], &o->view[1], &m)) return false;
    m.blocks = m.n / MATRIX_ROWS;
    const int32_t tiles = m.outputs / MATRIX_ROWS * m.blocks;
    const bool lanes = m.positions >= BT_LONG_DOT && m.outputs % MATRIX_ROWS == 0 && tiles >= 8; /* fewer share lanes */
    if (m.n % MATRIX_ROWS || (m.positions != MATRIX_COLUMNS && !lanes)) return false;
    m.in = o->view[0].data, m.init = o->view[1].data, m.out = o->view[2].data;
    if (lanes) bt_port_parallel(o->run->port, matrix_lanes_piece, &m, (uint32_t)tiles);
    else bt_port_parallel(o->run->port, matrix_weight_piece, &m, (uint32_t)m.blocks);
    return true;
}

#endif
