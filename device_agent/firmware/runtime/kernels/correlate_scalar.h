/* correlate() for cores with 32 float registers and no vectors: tiles of 2 rows x 8 outputs whose input slides through
 * registers (kernels of at least 8 taps), and of 4 rows x 6 outputs (fewer). */

/* Eight outputs p0..p7 of one row get one tap. */
#define BT_ROW(p, w, x0, x1, x2, x3, x4, x5, x6, x7)                                                       \
    p##0 = fmaf(w, x0, p##0), p##1 = fmaf(w, x1, p##1), p##2 = fmaf(w, x2, p##2), p##3 = fmaf(w, x3, p##3), \
    p##4 = fmaf(w, x4, p##4), p##5 = fmaf(w, x5, p##5), p##6 = fmaf(w, x6, p##6), p##7 = fmaf(w, x7, p##7)
/* Tap i of both rows (the second is left out where rows is 1). */
#define BT_TAP(i, x0, x1, x2, x3, x4, x5, x6, x7)         \
    do {                                                  \
        const float u = w0[(i) * step];                   \
        BT_ROW(p, u, x0, x1, x2, x3, x4, x5, x6, x7);     \
        if (rows == 2) {                                  \
            const float v = w1[(i) * step];               \
            BT_ROW(q, v, x0, x1, x2, x3, x4, x5, x6, x7); \
        }                                                 \
    } while (0)
#define BT_PUT(p, y) \
    (y)[0] = p##0, (y)[1] = p##1, (y)[2] = p##2, (y)[3] = p##3, (y)[4] = p##4, (y)[5] = p##5, (y)[6] = p##6, (y)[7] = p##7

/* Eight outputs of 1 or 2 rows, none of whose taps reaches beside the row. */
BT_INLINE void slide(const sweep *s, float *y, int32_t out_row, const int32_t rows, const int32_t step, const float *w,
                     const float *in, const float *init) {
    float p0, p1, p2, p3, p4, p5, p6, p7, q0 = 0, q1 = 0, q2 = 0, q3 = 0, q4 = 0, q5 = 0, q6 = 0, q7 = 0;
    p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = init[0];
    if (rows == 2) q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = init[1];
    const int32_t taps = s->taps, whole = taps & ~7;
    for (int32_t a = s->n1; a > 0; a--, w += s->w1, in += s->in1) {
        const float *next = in, *weights = w;
        for (int32_t b = s->n2; b > 0; b--, next += s->in2, weights += s->w2) {
            const float *x = next, *w0 = weights, *w1 = w0 + s->w_row, *end = x + whole;
            float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], x7;
            while (x != end) {
                x7 = x[7];
                BT_TAP(0, x0, x1, x2, x3, x4, x5, x6, x7);
                x0 = x[8];
                BT_TAP(1, x1, x2, x3, x4, x5, x6, x7, x0);
                x1 = x[9];
                BT_TAP(2, x2, x3, x4, x5, x6, x7, x0, x1);
                x2 = x[10];
                BT_TAP(3, x3, x4, x5, x6, x7, x0, x1, x2);
                x3 = x[11];
                BT_TAP(4, x4, x5, x6, x7, x0, x1, x2, x3);
                x4 = x[12];
                BT_TAP(5, x5, x6, x7, x0, x1, x2, x3, x4);
                x5 = x[13];
                BT_TAP(6, x6, x7, x0, x1, x2, x3, x4, x5);
                x6 = x[14];
                BT_TAP(7, x7, x0, x1, x2, x3, x4, x5, x6);
                x += 8;
                w0 += 8 * step;
                w1 += 8 * step;
            }
            if (step == 1 && (taps & 4)) {
                x7 = x[7];
                BT_TAP(0, x0, x1, x2, x3, x4, x5, x6, x7);
                x0 = x[8];
                BT_TAP(1, x1, x2, x3, x4, x5, x6, x7, x0);
                x1 = x[9];
                BT_TAP(2, x2, x3, x4, x5, x6, x7, x0, x1);
                x2 = x[10];
                BT_TAP(3, x3, x4, x5, x6, x7, x0, x1, x2);
                const float y0 = x0, y1 = x1, y2 = x2;
                x0 = x4, x1 = x5, x2 = x6, x3 = x7, x4 = y0, x5 = y1, x6 = y2;
                x += 4, w0 += 4, w1 += 4;
            }
            for (end = next + taps; x != end; x++, w0 += step, w1 += step) {
                x7 = x[7];
                BT_TAP(0, x0, x1, x2, x3, x4, x5, x6, x7);
                x0 = x1, x1 = x2, x2 = x3, x3 = x4, x4 = x5, x5 = x6, x6 = x7;
            }
        }
    }
    BT_PUT(p, y);
    if (rows == 2) BT_PUT(q, y + out_row);
}

#define BT_SLIDE(name, rows, step)                                                                                   \
    BT_APART void name(const sweep *s, float *y, int32_t out_row, const float *w, const float *in, const float *init) { \
        slide(s, y, out_row, rows, step, w, in, init);                                                                \
    }
BT_SLIDE(slide_two, 2, 1)
BT_SLIDE(slide_two_back, 2, -1)

/* Tap with d outputs to go before it lies in the row: it reaches outputs d..7. */
#define BT_EDGE_TAP(body_p, body_q)      \
    do {                                 \
        const float u = *w0;             \
        body_p;                          \
        if (rows == 2) {                 \
            const float v = *w1;         \
            body_q;                      \
        }                                \
        w0 += step, w1 += step;          \
    } while (0)
#define BT_TO7(p, u, x0) p##7 = fmaf(u, x0, p##7)
#define BT_TO6(p, u, x0, x1) p##6 = fmaf(u, x0, p##6), BT_TO7(p, u, x1)
#define BT_TO5(p, u, x0, x1, x2) p##5 = fmaf(u, x0, p##5), BT_TO6(p, u, x1, x2)
#define BT_TO4(p, u, x0, x1, x2, x3) p##4 = fmaf(u, x0, p##4), BT_TO5(p, u, x1, x2, x3)
#define BT_TO3(p, u, x0, x1, x2, x3, x4) p##3 = fmaf(u, x0, p##3), BT_TO4(p, u, x1, x2, x3, x4)
#define BT_TO2(p, u, x0, x1, x2, x3, x4, x5) p##2 = fmaf(u, x0, p##2), BT_TO3(p, u, x1, x2, x3, x4, x5)
#define BT_TO1(p, u, x0, x1, x2, x3, x4, x5, x6) p##1 = fmaf(u, x0, p##1), BT_TO2(p, u, x1, x2, x3, x4, x5, x6)
#define BT_UP0(p, u, x0) p##0 = fmaf(u, x0, p##0)
#define BT_UP1(p, u, x0, x1) BT_UP0(p, u, x0), p##1 = fmaf(u, x1, p##1)
#define BT_UP2(p, u, x0, x1, x2) BT_UP1(p, u, x0, x1), p##2 = fmaf(u, x2, p##2)
#define BT_UP3(p, u, x0, x1, x2, x3) BT_UP2(p, u, x0, x1, x2), p##3 = fmaf(u, x3, p##3)
#define BT_UP4(p, u, x0, x1, x2, x3, x4) BT_UP3(p, u, x0, x1, x2, x3), p##4 = fmaf(u, x4, p##4)
#define BT_UP5(p, u, x0, x1, x2, x3, x4, x5) BT_UP4(p, u, x0, x1, x2, x3, x4), p##5 = fmaf(u, x5, p##5)
#define BT_UP6(p, u, x0, x1, x2, x3, x4, x5, x6) BT_UP5(p, u, x0, x1, x2, x3, x4, x5), p##6 = fmaf(u, x6, p##6)
#define BT_EDGE(T, ...) BT_EDGE_TAP(BT_##T(p, u, __VA_ARGS__), BT_##T(q, v, __VA_ARGS__))

/* Eight outputs of 1 or 2 rows whose input is in[at..], some of whose taps reach beside the row, which has at least 8
 * values: up to seven taps that only the later outputs have, then those of all, then up to seven of the earlier. */
BT_INLINE void slide_edge(const sweep *s, float *y, int32_t out_row, const int32_t rows, const float *w, const float *in,
                          int32_t at, int32_t n1, const float *init) {
    const int32_t step = s->w_step, lack = at < 0 ? -at : 0, stop = s->width - at - 7;
    const int32_t last = stop < s->taps ? stop : s->taps;
    const int32_t before = lack < 7 ? lack : 7, after = s->taps - last < 7 ? s->taps - last : 7;
    float p0, p1, p2, p3, p4, p5, p6, p7, q0 = 0, q1 = 0, q2 = 0, q3 = 0, q4 = 0, q5 = 0, q6 = 0, q7 = 0;
    p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = init[0];
    if (rows == 2) q0 = q1 = q2 = q3 = q4 = q5 = q6 = q7 = init[1];
    for (; n1 > 0; n1--, w += s->w1, in += s->in1) {
        const float *next = in, *weights = w;
        for (int32_t b = s->n2; b > 0; b--, next += s->in2, weights += s->w2) {
            const float *x = next + at + lack, *end = next + at + last;
            const float *w0 = weights + (lack - before) * step, *w1 = w0 + s->w_row;
            float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5], x6 = x[6], x7;
            if (before > 0) {
                if (before > 6) BT_EDGE(TO7, x0);
                if (before > 5) BT_EDGE(TO6, x0, x1);
                if (before > 4) BT_EDGE(TO5, x0, x1, x2);
                if (before > 3) BT_EDGE(TO4, x0, x1, x2, x3);
                if (before > 2) BT_EDGE(TO3, x0, x1, x2, x3, x4);
                if (before > 1) BT_EDGE(TO2, x0, x1, x2, x3, x4, x5);
                BT_EDGE(TO1, x0, x1, x2, x3, x4, x5, x6);
            }
            while (end - x >= 8) {
                x7 = x[7];
                BT_TAP(0, x0, x1, x2, x3, x4, x5, x6, x7);
                x0 = x[8];
                BT_TAP(1, x1, x2, x3, x4, x5, x6, x7, x0);
                x1 = x[9];
                BT_TAP(2, x2, x3, x4, x5, x6, x7, x0, x1);
                x2 = x[10];
                BT_TAP(3, x3, x4, x5, x6, x7, x0, x1, x2);
                x3 = x[11];
                BT_TAP(4, x4, x5, x6, x7, x0, x1, x2, x3);
                x4 = x[12];
                BT_TAP(5, x5, x6, x7, x0, x1, x2, x3, x4);
                x5 = x[13];
                BT_TAP(6, x6, x7, x0, x1, x2, x3, x4, x5);
                x6 = x[14];
                BT_TAP(7, x7, x0, x1, x2, x3, x4, x5, x6);
                x += 8;
                w0 += 8 * step;
                w1 += 8 * step;
            }
            for (; x != end; x++, w0 += step, w1 += step) {
                x7 = x[7];
                BT_TAP(0, x0, x1, x2, x3, x4, x5, x6, x7);
                x0 = x1, x1 = x2, x2 = x3, x3 = x4, x4 = x5, x5 = x6, x6 = x7;
            }
            if (after == 0) continue;
            BT_EDGE(UP6, x0, x1, x2, x3, x4, x5, x6);
            if (after == 1) continue;
            BT_EDGE(UP5, x1, x2, x3, x4, x5, x6);
            if (after == 2) continue;
            BT_EDGE(UP4, x2, x3, x4, x5, x6);
            if (after == 3) continue;
            BT_EDGE(UP3, x3, x4, x5, x6);
            if (after == 4) continue;
            BT_EDGE(UP2, x4, x5, x6);
            if (after > 5) BT_EDGE(UP1, x5, x6);
            if (after > 6) BT_EDGE(UP0, x6);
        }
    }
    BT_PUT(p, y);
    if (rows == 2) BT_PUT(q, y + out_row);
}

BT_APART void slide_edge_two(const sweep *s, float *y, int32_t out_row, const float *w, int32_t at, const float *init) {
    slide_edge(s, y, out_row, 2, w, s->in, at, s->n1, init);
}
BT_APART void slide_edge_one(const sweep *s, float *y, const float *w, int32_t at, const float *init) {
    slide_edge(s, y, 0, 1, w, s->in, at, s->n1, init);
}

/* A tile of eight outputs, some of whose taps reach beside the row. */
static void slide_at_edge(const sweep *s, float *y, int32_t out_row, int32_t rows, int32_t at, const float *init) {
    const int32_t first = at < 0 ? -at : 0, stop = s->width - at - 7, last = stop < s->taps ? stop : s->taps;
    if (s->width < 8 || last <= first) { /* no tap reaches all eight */
        sweep there = *s;
        there.shift = at;
        correlate_begin(y, out_row, rows, 0, 8, init);
        correlate_plain(&there, y, out_row, rows, 0, 8);
        return;
    }
    int32_t r = 0;
    for (; r + 2 <= rows; r += 2) slide_edge_two(s, y + r * out_row, out_row, s->w + r * s->w_row, at, init + r);
    if (r < rows) slide_edge_one(s, y + r * out_row, s->w + r * s->w_row, at, init + r);
}

/* One row: thirteen outputs, so that the two loads of a tap serve more of them. */
enum { WIDE = 13 };
#define BT_EACH _Pragma("GCC unroll 16")

/* `tiles` stretches of WIDE outputs one after the other, each `taps` taps; sums go on from y, or begin with *init. */
BT_INLINE void wide(const float *w, const int32_t step, int32_t taps, const float *in, float *y, int32_t tiles,
                    const float *init) {
    for (; tiles > 0; tiles--, in += WIDE, y += WIDE) {
        const float *p = in, *v = w, *end = p + (taps & ~15);
        float sum[WIDE], x[16];
        if (init) {
            BT_EACH for (int32_t j = 0; j < WIDE; j++) sum[j] = *init;
        } else {
            BT_EACH for (int32_t j = 0; j < WIDE; j++) sum[j] = y[j];
        }
        BT_EACH for (int32_t j = 0; j < WIDE - 1; j++) x[j] = p[j];
        for (; p != end; p += 16, v += 16 * step)
            BT_EACH for (int32_t t = 0; t < 16; t++) {
                x[(t + WIDE - 1) % 16] = p[t + WIDE - 1];
                const float k = v[t * step];
                BT_EACH for (int32_t j = 0; j < WIDE; j++) sum[j] = fmaf(k, x[(t + j) % 16], sum[j]);
            }
        for (end = in + taps; p != end; p++, v += step) {
            x[WIDE - 1] = p[WIDE - 1];
            BT_EACH for (int32_t j = 0; j < WIDE; j++) sum[j] = fmaf(*v, x[j], sum[j]);
            BT_EACH for (int32_t j = 0; j < WIDE - 1; j++) x[j] = x[j + 1];
        }
        BT_EACH for (int32_t j = 0; j < WIDE; j++) y[j] = sum[j];
    }
}
BT_APART void wide_on(const float *w, int32_t taps, const float *in, float *y, int32_t tiles, const float *init) {
    wide(w, 1, taps, in, y, tiles, init);
}
BT_APART void wide_back(const float *w, int32_t taps, const float *in, float *y, int32_t tiles, const float *init) {
    wide(w, -1, taps, in, y, tiles, init);
}

/* Taps from..to-1 for those of WIDE outputs that they reach; `at` is where the first output's first tap lies. */
BT_APART void wide_edge(const sweep *s, float *y, int32_t at, int32_t from, int32_t to) {
    for (int32_t j = 0; j < WIDE; j++) {
        const int32_t before = -(at + j), past = s->width - (at + j);
        const int32_t last = to < past ? to : past;
        int32_t i = from > before ? from : before;
        float sum = y[j];
        for (const float *x = s->in + at + j + i, *w = s->w + i * s->w_step; i < last; i++, x++, w += s->w_step)
            sum = fmaf(*w, *x, sum);
        y[j] = sum;
    }
}

/* WIDE outputs over one long input row, taps beside it left out; false where too few taps reach all of them. */
static bool wide_over_edge(const sweep *s, float *y, int32_t at, float init) {
    const int32_t first = at < 0 ? -at : 0, past = s->width - at - WIDE + 1, last = past < s->taps ? past : s->taps;
    if (last - first < 16 * WIDE) return false;
    for (int32_t j = 0; j < WIDE; j++) y[j] = init;
    wide_edge(s, y, at, 0, first);
    (s->w_step == 1 ? wide_on : wide_back)(s->w + first * s->w_step, last - first, s->in + at + first, y, 1, NULL);
    wide_edge(s, y, at, last, s->taps);
    return true;
}

/* Tiles of one row from output j on; returns the next output, j itself where other tiles do better. */
static int32_t wide_tiles(const sweep *s, float *out, int32_t j, int32_t to, const float *init) {
    const int32_t from = j + WIDE > to ? to - WIDE : j, at = from + s->shift;
    const int32_t room = s->width - s->taps - WIDE + 1 - at; /* to the last place of a tile inside */
    if (to - j <= 8 || to - j == 16) return j; /* tiles of eight compute nothing twice there */
    if (at < 0 || room < 0) return wide_over_edge(s, out + from, at, *init) ? from + WIDE : j;
    const int32_t count = (to - from) / WIDE, fit = room / WIDE + 1, tiles = count < fit ? count : fit;
    (s->w_step == 1 ? wide_on : wide_back)(s->w, s->taps, s->in + at, out + from, tiles, init);
    return from + tiles * WIDE;
}

/* Eight outputs of up to four rows. */
static void slide_eight(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t at, const float *init) {
    const float *w = s->w;
    if (rows == 1 || at < 0 || at + s->taps + 7 > s->width) {
        slide_at_edge(s, out, out_row, rows, at, init);
        return;
    }
    for (; rows >= 2; rows -= 2, out += 2 * out_row, w += 2 * s->w_row, init += 2)
        (s->w_step == 1 ? slide_two : slide_two_back)(s, out, out_row, w, s->in + at, init);
    if (rows) slide_edge_one(s, out, w, at, init);
}

/* The last outputs of four rows, which few taps reach: fewer products than in a tile over those before as well. */
enum { FEW_LEFT = 4 };
BT_APART void last_outputs(const sweep *s, float *y, int32_t out_row, int32_t at, int32_t count, const float *init) {
    const int32_t w_row = s->w_row, step = s->w_step, out_two = 2 * out_row, out_three = 3 * out_row;
    for (; count > 0; count--, at++, y++) {
        const int32_t taps = s->width > at ? s->width - at : 0;
        const float *in = s->in + at, *w = s->w;
        float p = init[0], q = init[1], r = init[2], t = init[3];
        for (int32_t a = s->n1; a > 0; a--, in += s->in1, w += s->w1) {
            const float *next = in, *w0 = w;
            for (int32_t b = s->n2; b > 0; b--, next += s->in2, w0 += s->w2) {
                const float *v0 = w0, *v1 = v0 + w_row, *v2 = v1 + w_row, *v3 = v2 + w_row, *const end = next + taps;
                for (const float *x = next; x != end; x++, v0 += step, v1 += step, v2 += step, v3 += step) {
                    const float one = *x;
                    p = fmaf(*v0, one, p), q = fmaf(*v1, one, q), r = fmaf(*v2, one, r), t = fmaf(*v3, one, t);
                }
            }
        }
        y[0] = p, y[out_row] = q, y[out_two] = r, y[out_three] = t;
    }
}

static void slide_tiles(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                        const float *init) {
    const bool single = rows == 1 && s->n1 * s->n2 == 1 && s->taps >= 16 && to - from >= WIDE;
    for (int32_t j = from; j < to;) {
        if (rows == 4 && to - j <= FEW_LEFT && j + s->shift >= s->width - FEW_LEFT && j + s->shift >= 0) {
            last_outputs(s, out + j, out_row, j + s->shift, to - j, init);
            return;
        }
        const int32_t next = single ? wide_tiles(s, out, j, to, init) : j, here = j + 8 > to ? to - 8 : j;
        if (next == j) slide_eight(s, out + here, out_row, rows, here + s->shift, init);
        j = next == j ? j + 8 : next;
    }
}

enum { FEWEST = 5, FEW = 6 };

/* Five or six outputs p0..p5 of one row get one tap. */
#define BT_FEW(p, w)                                                                                            \
    do {                                                                                                        \
        const float u = *(w);                                                                                   \
        p##0 = fmaf(u, x0, p##0), p##1 = fmaf(u, x1, p##1), p##2 = fmaf(u, x2, p##2), p##3 = fmaf(u, x3, p##3), \
        p##4 = fmaf(u, x4, p##4);                                                                               \
        if (few == FEW) p##5 = fmaf(u, x5, p##5);                                                               \
    } while (0)
#define BT_PUT_FEW(p, y)                                                                     \
    do {                                                                                     \
        (y)[0] = p##0, (y)[1] = p##1, (y)[2] = p##2, (y)[3] = p##3, (y)[4] = p##4;           \
        if (few == FEW) (y)[5] = p##5;                                                       \
    } while (0)

/* Outputs 0..count-1 of four rows, or one, `few` at a time (the last may overlap those before), every tap of which lies
 * inside the row; from one tap to the next x_step in the input. */
BT_INLINE void gather(const sweep *s, float *y, int32_t out_row, const int32_t rows, const int32_t few, const float *w,
                      const float *in, int32_t x_step, int32_t count, const float *init) {
    const int32_t n1 = s->n1, in1 = s->in1, w1 = s->w1, w_row = s->w_row, w_step = s->w_step, taps = s->taps;
    for (int32_t j = 0; j < count; j += few) {
        if (j + few > count) j = count - few;
        float p0, p1, p2, p3, p4, p5, q0, q1, q2, q3, q4, q5, r0, r1, r2, r3, r4, r5, t0, t1, t2, t3, t4, t5;
        p0 = p1 = p2 = p3 = p4 = p5 = init[0];
        q0 = q1 = q2 = q3 = q4 = q5 = rows == 4 ? init[1] : 0;
        r0 = r1 = r2 = r3 = r4 = r5 = rows == 4 ? init[2] : 0;
        t0 = t1 = t2 = t3 = t4 = t5 = rows == 4 ? init[3] : 0;
        const float *from = in + j, *start = w;
        for (int32_t a = n1; a > 0; a--, from += in1, start += w1) {
            const float *x = from, *w0 = start, *end = w0 + taps * w_step;
            const float *v1 = w0 + w_row, *v2 = v1 + w_row, *v3 = v2 + w_row;
            for (; w0 != end; x += x_step) {
                const float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = few == FEW ? x[5] : 0;
                BT_FEW(p, w0);
                w0 += w_step;
                if (rows < 4) continue;
                BT_FEW(q, v1);
                BT_FEW(r, v2);
                BT_FEW(t, v3);
                v1 += w_step, v2 += w_step, v3 += w_step;
            }
        }
        float *to = y + j;
        BT_PUT_FEW(p, to);
        if (rows < 4) continue;
        to += out_row;
        BT_PUT_FEW(q, to);
        to += out_row;
        BT_PUT_FEW(r, to);
        to += out_row;
        BT_PUT_FEW(t, to);
    }
}
BT_APART void gather_four_by_six(const sweep *s, float *y, int32_t out_row, const float *in, int32_t x_step,
                                 int32_t count, const float *init) {
    gather(s, y, out_row, 4, FEW, s->w, in, x_step, count, init);
}
BT_APART void gather_one(const sweep *s, float *y, const float *w, const float *in, int32_t x_step, int32_t count,
                         const float *init) {
    gather(s, y, 0, 1, FEWEST, w, in, x_step, count, init);
}

/* Four taps over one input row: the weights of 1 or 2 rows stay in registers. */
BT_INLINE void four_taps(const float *w, int32_t w_row, const int32_t rows, const float *x, float *y, int32_t out_row,
                         int32_t count, const float *init) {
    const float a0 = w[0], a1 = w[1], a2 = w[2], a3 = w[3], a = init[0];
    const float *v = rows == 2 ? w + w_row : w;
    const float b0 = v[0], b1 = v[1], b2 = v[2], b3 = v[3], b = rows == 2 ? init[1] : 0;
    const float *last = x + count - 4, *in = x;
    for (;;) {
        float *z = y + out_row;
        const float x0 = in[0], x1 = in[1], x2 = in[2], x3 = in[3], x4 = in[4], x5 = in[5], x6 = in[6];
        y[0] = fmaf(a3, x3, fmaf(a2, x2, fmaf(a1, x1, fmaf(a0, x0, a))));
        y[1] = fmaf(a3, x4, fmaf(a2, x3, fmaf(a1, x2, fmaf(a0, x1, a))));
        y[2] = fmaf(a3, x5, fmaf(a2, x4, fmaf(a1, x3, fmaf(a0, x2, a))));
        y[3] = fmaf(a3, x6, fmaf(a2, x5, fmaf(a1, x4, fmaf(a0, x3, a))));
        if (rows == 2) {
            z[0] = fmaf(b3, x3, fmaf(b2, x2, fmaf(b1, x1, fmaf(b0, x0, b))));
            z[1] = fmaf(b3, x4, fmaf(b2, x3, fmaf(b1, x2, fmaf(b0, x1, b))));
            z[2] = fmaf(b3, x5, fmaf(b2, x4, fmaf(b1, x3, fmaf(b0, x2, b))));
            z[3] = fmaf(b3, x6, fmaf(b2, x5, fmaf(b1, x4, fmaf(b0, x3, b))));
        }
        if (in == last) return;
        const int32_t on = last - in < 4 ? (int32_t)(last - in) : 4;
        in += on, y += on;
    }
}
BT_APART void four_taps_two(const float *w, int32_t w_row, const float *x, float *y, int32_t out_row, int32_t count,
                            const float *init) {
    four_taps(w, w_row, 2, x, y, out_row, count, init);
}
BT_APART void four_taps_one(const float *w, const float *x, float *y, int32_t count, const float *init) {
    four_taps(w, 0, 1, x, y, 0, count, init);
}

static inline int32_t conv_between(int32_t i, int32_t least, int32_t most) {
    return i < least ? least : i > most ? most : i;
}

static void gather_tiles(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                         const float *init) {
    const bool inside = from + s->shift >= 0 && to - 1 + s->taps - 1 + s->shift < s->width;
    if (inside && s->taps == 4 && s->w_step == 1 && s->n1 == 1 && s->n2 == 1) {
        const float *x = s->in + from + s->shift;
        float *y = out + from;
        int32_t r = 0;
        for (; r + 2 <= rows; r += 2)
            four_taps_two(s->w + r * s->w_row, s->w_row, x, y + r * out_row, out_row, to - from, init + r);
        if (r < rows) four_taps_one(s->w + r * s->w_row, x, y + r * out_row, to - from, init + r);
        return;
    }
    /* loops over a single value fall away, so that the inner one is long */
    sweep q = *s;
    int32_t x_step = 1;
    if (q.taps == 1) q.taps = q.n2, x_step = q.in2, q.w_step = q.w2, q.n2 = 1;
    if (q.n2 == 1 && (q.taps == 1 || (q.in1 == q.taps * x_step && q.w1 == q.taps * q.w_step))) {
        if (q.taps == 1) x_step = q.in1, q.w_step = q.w1;
        q.taps *= q.n1;
        q.n1 = 1;
    }
    if (q.n2 > 1 && q.n1 == 1) q.n1 = q.n2, q.in1 = q.in2, q.w1 = q.w2, q.n2 = 1;
    const int32_t begin = inside ? from : conv_between(-s->shift, from, to);
    const int32_t end = inside ? to : conv_between(s->width - s->taps + 1 - s->shift, begin, to);
    const bool together = q.n2 == 1 && end - begin >= FEWEST;
    const int32_t edges[2][2] = {{from, together ? begin : to}, {together ? end : to, to}};
    for (int32_t e = 0; e < 2; e++) {
        if (edges[e][0] >= edges[e][1]) continue;
        correlate_begin(out, out_row, rows, edges[e][0], edges[e][1], init);
        correlate_plain(s, out, out_row, rows, edges[e][0], edges[e][1]);
    }
    if (!together) return;
    const float *in = s->in + begin + s->shift;
    const int32_t count = end - begin;
    int32_t r = 0;
    out += begin;
    if (rows == 4 && count >= FEW) {
        gather_four_by_six(&q, out, out_row, in, x_step, count, init);
        return;
    }
    for (; r < rows; r++) gather_one(&q, out + r * out_row, s->w + r * s->w_row, in, x_step, count, init + r);
}

static void correlate_rows(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                           const float *init) {
    if (s->n1 < 1 || s->n2 < 1) {
        correlate_begin(out, out_row, rows, from, to, init);
    } else if (s->taps >= 8 && to - from >= 8) {
        sweep q = *s;
        if (q.n2 == 1) q.n2 = q.n1, q.in2 = q.in1, q.w2 = q.w1, q.n1 = 1;
        slide_tiles(&q, out, out_row, rows, from, to, init);
    } else if (to - from >= FEWEST) {
        gather_tiles(s, out, out_row, rows, from, to, init);
    } else {
        correlate_begin(out, out_row, rows, from, to, init);
        correlate_plain(s, out, out_row, rows, from, to);
    }
}
