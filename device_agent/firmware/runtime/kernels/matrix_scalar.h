/* Convolutions that are products of matrices, on cores with 32 float registers: the kernel is one column wide and one
 * row high, or as high as the map, and nothing is padded. With n = input channels x kernel rows and p positions:
 *   forward         y[co][p]  = bias[co] + sum over i < n of w[co][i] x[i][p]
 *   input gradient  dx[i][p]  = sum over co of w[co][i] dy[co][p]
 *   weight gradient dw[co][i] += sum over p of dy[co][p] x[i][p]: of BT_LONG_DOT positions and more in eight lanes, of
 *                   fewer in order, beginning with dw itself
 * Tiles of 4 rows x 5 positions live in registers; sums run in the order of conv2d.c. */
#ifndef BIOTRAIN_MATRIX_SCALAR_H
#define BIOTRAIN_MATRIX_SCALAR_H

#include "conv_shape.h"
#include "dots.h"

enum { MATRIX_ROWS = 4, MATRIX_COLUMNS = 5 };

typedef struct matrix {
    const float *w, *in, *init;
    float *out;
    int32_t n, outputs, positions, blocks; /* n: products of a sum; blocks of four rows */
    int32_t shares, together, stretch;     /* pieces of as many blocks, and the positions of one */
    int32_t in_row, out_row;               /* values from one row of in, or out, to the next */
} matrix;

/* Whether it is one; its positions and products. */
static bool matrix_of(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y, matrix *m) {
    const uint32_t *set = o->immediate, rows = w->of->dims[2];
    if (w->of->dims[3] != 1 || set[8] != 1 || set[2] | set[3] | set[4] | set[5] || set[1] != 1) return false;
    if (set[0] != 1 || (rows != 1 && (rows != x->of->dims[1] || set[6] != 1))) return false;
    m->w = w->data;
    m->n = (int32_t)(w->of->dims[1] * rows);
    m->outputs = (int32_t)w->of->dims[0];
    m->positions = m->in_row = m->out_row = (int32_t)(y->of->dims[1] * y->of->dims[2]);
    return m->positions >= MATRIX_COLUMNS;
}

/* Tiles take four rows; positions are dealt out until cores have enough to do. */
static uint32_t matrix_pieces(const bt_run *run, matrix *m, int32_t rows) {
    const int32_t blocks = (int32_t)((uint32_t)rows / MATRIX_ROWS);
    m->blocks = m->together = blocks;
    m->shares = 1;
    m->stretch = m->positions;
    const int32_t cores = (int32_t)run->cores;
    if (cores == 1) return 1;
    m->shares = blocks, m->together = 1;
    if (m->blocks < 8 && m->positions >= 64) {
        const int32_t stretches = conv_least(8 / m->blocks, m->positions / 32);
        m->stretch = ((m->positions + stretches - 1) / stretches + MATRIX_COLUMNS - 1) / MATRIX_COLUMNS * MATRIX_COLUMNS;
        return (uint32_t)(m->blocks * ((m->positions + m->stretch - 1) / m->stretch));
    }
    if (cores < m->blocks) {
        m->together = (m->blocks + cores - 1) / cores;
        m->shares = (m->blocks + m->together - 1) / m->together;
    }
    return (uint32_t)m->shares;
}

/* The blocks of a piece. */
static inline int32_t matrix_share(const matrix *m, uint32_t index, int32_t *first) {
    *first = (int32_t)index % m->shares * m->together;
    return conv_least(m->together, m->blocks - *first);
}

/* The compiler keeps this one pointer, and not one for each product of a round. */
#define BT_SERIAL(pointer) __asm__("" : "+r"(pointer))
#define BT_FIVE(p, k, s0, s1, s2, s3, s4) \
    p##0 = fmaf(k, x0, s0), p##1 = fmaf(k, x1, s1), p##2 = fmaf(k, x2, s2), p##3 = fmaf(k, x3, s3), p##4 = fmaf(k, x4, s4)
#define BT_LOAD_FIVE(k)                                                                                          \
    const float k0 = (k)[0], k1 = back ? (k)[1] : v1[(k) - w], k2 = back ? (k)[2] : v2[(k) - w];                 \
    const float k3 = back ? (k)[3] : v3[(k) - w];                                                                \
    const float x0 = in[0], x1 = in[1], x2 = in[2], x3 = in[3], x4 = in[4];                                      \
    in += step;                                                                                                  \
    BT_SERIAL(in)
#define BT_PRODUCT(k)                               \
    do {                                            \
        BT_LOAD_FIVE(k);                            \
        BT_FIVE(p, k0, p0, p1, p2, p3, p4);         \
        BT_FIVE(q, k1, q0, q1, q2, q3, q4);         \
        BT_FIVE(r, k2, r0, r1, r2, r3, r4);         \
        BT_FIVE(t, k3, t0, t1, t2, t3, t4);         \
    } while (0)
/* The first product of each sum: it begins with its initial value. */
#define BT_FIRST(k)                                 \
    do {                                            \
        BT_LOAD_FIVE(k);                            \
        BT_FIVE(p, k0, i0, i0, i0, i0, i0);         \
        BT_FIVE(q, k1, i1, i1, i1, i1, i1);         \
        BT_FIVE(r, k2, i2, i2, i2, i2, i2);         \
        BT_FIVE(t, k3, i3, i3, i3, i3, i3);         \
    } while (0)
#define BT_PUT_FIVE(p) y[0] = p##0, y[1] = p##1, y[2] = p##2, y[3] = p##3, y[4] = p##4

/* Rows of w are n apart. Forward, a sum goes along four of them; `back`, it goes across all, and the rows of a tile are
 * side by side. */
static inline __attribute__((always_inline)) void matrix_tiles(const matrix *m, const bool back, uint32_t index) {
    static const float zeros[MATRIX_ROWS];
    int32_t first;
    const int32_t blocks = matrix_share(m, index, &first), from = (int32_t)index / m->shares * m->stretch;
    const int32_t count = conv_least(m->stretch, m->positions - from), n = m->n, step = m->in_row, down = m->out_row;
    const int32_t along = m->init ? MATRIX_ROWS : 0;
    first *= MATRIX_ROWS;
    for (int32_t j = 0; j < count; j += MATRIX_COLUMNS) {
        if (j + MATRIX_COLUMNS > count) j = count - MATRIX_COLUMNS; /* again what the tile before has */
        const float *const column = m->in + from + j, *init = m->init ? m->init + first : zeros;
        const float *tile = m->w + (back ? first : first * n);
        float *y = m->out + first * down + from + j;
        for (int32_t left = blocks; left; left--, tile += back ? MATRIX_ROWS : MATRIX_ROWS * n, init += along) {
            const float i0 = init[0], i1 = init[1], i2 = init[2], i3 = init[3], *w = tile, *in = column;
            const float *v1 = w + n, *v2 = v1 + n, *v3 = v2 + n;
            float p0, p1, p2, p3, p4, q0, q1, q2, q3, q4, r0, r1, r2, r3, r4, t0, t1, t2, t3, t4;
            if (back) {
                BT_FIRST(w);
                for (const float *const end = w + m->outputs * n; w += n, w != end;) BT_PRODUCT(w);
            } else {
                const float *const end = v1, *const whole = w + (n & ~3);
                BT_FIRST(w);
                if (n >= 4) {
                    BT_PRODUCT(w + 1);
                    BT_PRODUCT(w + 2);
                    BT_PRODUCT(w + 3);
                    for (;;) {
                        w += 4, v1 += 4, v2 += 4, v3 += 4;
                        if (w == whole) break;
                        BT_PRODUCT(w);
                        BT_PRODUCT(w + 1);
                        BT_PRODUCT(w + 2);
                        BT_PRODUCT(w + 3);
                    }
                } else {
                    w++, v1++, v2++, v3++;
                }
                for (; w != end; w++, v1++, v2++, v3++) BT_PRODUCT(w);
            }
            BT_PUT_FIVE(p);
            y += down;
            BT_SERIAL(y);
            BT_PUT_FIVE(q);
            y += down;
            BT_SERIAL(y);
            BT_PUT_FIVE(r);
            y += down;
            BT_SERIAL(y);
            BT_PUT_FIVE(t);
            y += down;
            BT_SERIAL(y);
        }
    }
}

static void matrix_forward_piece(void *arg, uint32_t index) { matrix_tiles(arg, false, index); }
static void matrix_back_piece(void *arg, uint32_t index) { matrix_tiles(arg, true, index); }

/* False where it is not such a convolution, or not in whole tiles. */
static bool matrix_forward(const bt_operands *o) {
    matrix m;
    if (!matrix_of(o, &o->view[0], &o->view[1], &o->view[3], &m) || m.outputs % MATRIX_ROWS) return false;
    m.in = o->view[0].data, m.out = o->view[3].data, m.init = o->view[2].data;
    bt_port_parallel(o->run->port, matrix_forward_piece, &m, matrix_pieces(o->run, &m, m.outputs));
    return true;
}

static bool matrix_input_gradient(const bt_operands *o) {
    matrix m;
    if (!matrix_of(o, &o->view[2], &o->view[1], &o->view[0], &m) || m.n % MATRIX_ROWS) return false;
    m.in = o->view[0].data, m.out = o->view[2].data, m.init = NULL;
    bt_port_parallel(o->run->port, matrix_back_piece, &m, matrix_pieces(o->run, &m, m.n));
    return true;
}

/* Five positions: those of four output rows stay in registers, and rows of the input go by. */
static void matrix_weight_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    int32_t first;
    const int32_t row = m->n, blocks = matrix_share(m, index, &first);
    const float *dy = m->init + first * MATRIX_ROWS * MATRIX_COLUMNS, *const dy_end = dy + blocks * MATRIX_ROWS * MATRIX_COLUMNS;
    const float *const x_end = m->in + row * MATRIX_COLUMNS;
    for (float *dw = m->out + first * MATRIX_ROWS * row; dy != dy_end;) {
        const float a0 = dy[0], a1 = dy[1], a2 = dy[2], a3 = dy[3], a4 = dy[4], b0 = dy[5], b1 = dy[6], b2 = dy[7], b3 = dy[8], b4 = dy[9];
        dy += 2 * MATRIX_COLUMNS;
        const float c0 = dy[0], c1 = dy[1], c2 = dy[2], c3 = dy[3], c4 = dy[4], d0 = dy[5], d1 = dy[6], d2 = dy[7], d3 = dy[8], d4 = dy[9];
        dy += 2 * MATRIX_COLUMNS;
        float *w1 = dw + row, *w2 = w1 + row, *w3 = w2 + row;
#define BT_DOT_FIVE(a, sum) sum = fmaf(a##4, x4, fmaf(a##3, x3, fmaf(a##2, x2, fmaf(a##1, x1, fmaf(a##0, x0, sum)))))
#define BT_DOT_ROWS(k)                                                                                             \
    do {                                                                                                           \
        const float x0 = x[5 * k], x1 = x[5 * k + 1], x2 = x[5 * k + 2], x3 = x[5 * k + 3], x4 = x[5 * k + 4];     \
        BT_DOT_FIVE(a, dw[k]);                                                                                     \
        BT_DOT_FIVE(b, w1[k]);                                                                                     \
        BT_DOT_FIVE(c, w2[k]);                                                                                     \
        BT_DOT_FIVE(d, w3[k]);                                                                                     \
    } while (0)
        for (const float *x = m->in; x != x_end; x += 8 * MATRIX_COLUMNS, dw += 8, w1 += 8, w2 += 8, w3 += 8) {
            BT_DOT_ROWS(0);
            BT_DOT_ROWS(1);
            BT_DOT_ROWS(2);
            BT_DOT_ROWS(3);
            BT_DOT_ROWS(4);
            BT_DOT_ROWS(5);
            BT_DOT_ROWS(6);
            BT_DOT_ROWS(7);
        }
        dw = w3;
#undef BT_DOT_ROWS
#undef BT_DOT_FIVE
    }
}

/* Many positions: the sums of four outputs with four rows of the input, lane by lane. */
static void matrix_lanes_piece(void *arg, uint32_t index) {
    const matrix *m = arg;
    const int32_t row = (int32_t)index / m->blocks * MATRIX_ROWS, i = (int32_t)index % m->blocks * BT_DOTS, p = m->positions;
    const float *x = m->in + i * p, *const columns[BT_DOTS] = {x, x + p, x + 2 * p, x + 3 * p};
    float kept[BT_LANES][16], *dw = m->out + row * m->n + i;
    four_by_lanes(kept, m->init + row * p, p, MATRIX_ROWS, columns, 0, BT_LANES, p, false);
    for (const float *k = kept[0], *const end = kept[1]; k != end; k += BT_DOTS, dw += m->n)
        for (int32_t c = 0; c < BT_DOTS; c++) dw[c] += 0.0f + fold_dot(k + c);
}

static bool matrix_weight_gradient(const bt_operands *o) {
    matrix m;
    if (o->view[3].of->rank || !matrix_of(o, &o->view[0], &o->view[2], &o->view[1], &m)) return false;
    m.in = o->view[0].data, m.init = o->view[1].data, m.out = o->view[2].data;
    if (m.outputs % MATRIX_ROWS) return false;
    if (m.positions == MATRIX_COLUMNS && m.n % 8 == 0) {
        bt_port_parallel(o->run->port, matrix_weight_piece, &m, matrix_pieces(o->run, &m, m.outputs));
        return true;
    }
    m.blocks = m.n / MATRIX_ROWS;
    const int32_t tiles = m.outputs / MATRIX_ROWS * m.blocks;
    if (m.positions < BT_LONG_DOT || m.n % MATRIX_ROWS || tiles < 8) return false; /* fewer share lanes */
    bt_port_parallel(o->run->port, matrix_lanes_piece, &m, (uint32_t)tiles);
    return true;
}

#endif
