/* correlate() with sixteen outputs in a vector and lanes that can be left out of any operation (AVX-512): tiles of up to
 * 4 rows x 4 vectors, or 1 row x 8 vectors. Rows that are no multiple of sixteen end in a vector of fewer lanes. */
#include <immintrin.h>

#define BT_ALL _Pragma("GCC unroll 8")

/* Lanes 0..count-1; none where count is below 1, all of them from 16 on. */
BT_INLINE __mmask16 first_lanes(int32_t count) {
    return count <= 0 ? 0 : count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1);
}

/* Taps from..to-1 of one input row, none of which reaches beside it; `last` are the lanes of the last vector. */
BT_INLINE void add_taps(__m512 *sum, const int32_t rows, const int32_t vectors, const sweep *s, const float *w,
                        const float *in, int32_t in_step, int32_t from, int32_t to, __mmask16 last) {
    for (int32_t i = from; i < to; i++) {
        __m512 x[8];
        BT_ALL for (int32_t v = 0; v + 1 < vectors; v++) x[v] = _mm512_loadu_ps(in + i * in_step + 16 * v);
        x[vectors - 1] = _mm512_maskz_loadu_ps(last, in + i * in_step + 16 * (vectors - 1));
        BT_ALL for (int32_t r = 0; r < rows; r++) {
            const __m512 k = _mm512_set1_ps(w[r * s->w_row + i * s->w_step]);
            BT_ALL for (int32_t v = 0; v < vectors; v++)
                sum[r * vectors + v] = _mm512_fmadd_ps(k, x[v], sum[r * vectors + v]);
        }
    }
}

/* Taps at an edge of the row: the lanes of each vector that lie in it, found once for all input rows. */
enum { MOST_FOUND = 64 };
typedef struct reach {
    int32_t at, width, from, to; /* taps from..to-1 */
    __mmask16 last, lanes[MOST_FOUND][8];
} reach;

BT_INLINE __mmask16 reached_lanes(const reach *e, const int32_t vectors, int32_t tap, int32_t vector) {
    const int32_t place = e->at + tap + 16 * vector;
    const __mmask16 inside = (__mmask16)(first_lanes(e->width - place) & ~first_lanes(-place));
    return vector + 1 == vectors ? inside & e->last : inside;
}

BT_INLINE void find_reach(reach *e, const int32_t vectors) {
    const int32_t found = e->to - e->from < MOST_FOUND ? e->to : e->from + MOST_FOUND;
    for (int32_t i = e->from; i < found; i++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) e->lanes[i - e->from][v] = reached_lanes(e, vectors, i, v);
}

BT_INLINE void add_reached(__m512 *sum, const int32_t rows, const int32_t vectors, const sweep *s, const float *w,
                           const float *in, const reach *e) {
    for (int32_t i = e->from; i < e->to; i++) {
        __m512 k[BT_TILE_ROWS];
        BT_ALL for (int32_t r = 0; r < rows; r++) k[r] = _mm512_set1_ps(w[r * s->w_row + i * s->w_step]);
        BT_ALL for (int32_t v = 0; v < vectors; v++) {
            const __mmask16 lanes = i - e->from < MOST_FOUND ? e->lanes[i - e->from][v] : reached_lanes(e, vectors, i, v);
            const __m512 x = _mm512_maskz_loadu_ps(lanes, in + i + 16 * v);
            BT_ALL for (int32_t r = 0; r < rows; r++)
                sum[r * vectors + v] = _mm512_mask3_fmadd_ps(k[r], x, sum[r * vectors + v], lanes);
        }
    }
}

/* `count` outputs from `from`, at most as many as the vectors hold. `in_step` is 1, or what lies between the taps of a
 * sweep all of which lies inside. */
BT_INLINE void tile(const sweep *s, float *out, int32_t out_row, const int32_t rows, const int32_t vectors,
                    int32_t from, int32_t count, const float *init, int32_t in_step) {
    __m512 sum[16];
    const __mmask16 lanes = first_lanes(count - 16 * (vectors - 1));
    const int32_t at = from + s->shift, left = -at, right = s->width - at - count + 1;
    int32_t first = left < 0 ? 0 : left > s->taps ? s->taps : left;
    int32_t last = right > s->taps ? s->taps : right < first ? first : right;
    if (in_step != 1) first = 0, last = s->taps;
    /* the first tap that any output has in the row, and the end of those that the first has */
    const int32_t begin = left < count ? 0 : left - count + 1, past = s->width - at;
    const int32_t end = past < last ? last : past < s->taps ? past : s->taps;
    reach before, behind;
    before.at = behind.at = at, before.width = behind.width = s->width, before.last = behind.last = lanes;
    before.from = begin, before.to = first, behind.from = last, behind.to = end;
    find_reach(&before, vectors);
    find_reach(&behind, vectors);
    BT_ALL for (int32_t r = 0; r < rows; r++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) sum[r * vectors + v] = _mm512_set1_ps(init[r]);
    for (int32_t a = 0; a < s->n1; a++)
        for (int32_t b = 0; b < s->n2; b++) {
            const float *w = s->w + a * s->w1 + b * s->w2, *in = s->in + a * s->in1 + b * s->in2;
            add_reached(sum, rows, vectors, s, w, in + at, &before);
            add_taps(sum, rows, vectors, s, w, in + at, in_step, first, last, lanes);
            add_reached(sum, rows, vectors, s, w, in + at, &behind);
        }
    BT_ALL for (int32_t r = 0; r < rows; r++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) {
            float *y = out + r * out_row + from + 16 * v;
            if (v + 1 == vectors) _mm512_mask_storeu_ps(y, lanes, sum[r * vectors + v]);
            else _mm512_storeu_ps(y, sum[r * vectors + v]);
        }
}

BT_INLINE void four_rows(const sweep *s, float *out, int32_t out_row, int32_t from, int32_t to, const float *init,
                         int32_t in_step) {
    int32_t j = from;
    /* a vector alone waits for its own sums: five are three and two */
    for (; to - j > 80 || (to - j > 48 && to - j <= 64); j += 64)
        tile(s, out, out_row, 4, 4, j, to - j < 64 ? to - j : 64, init, in_step);
    if (to - j > 64) tile(s, out, out_row, 4, 3, j, 48, init, in_step), j += 48;
    if (to - j > 32) tile(s, out, out_row, 4, 3, j, to - j, init, in_step);
    else if (to - j > 16) tile(s, out, out_row, 4, 2, j, to - j, init, in_step);
    else if (to > j) tile(s, out, out_row, 4, 1, j, to - j, init, in_step);
}

BT_INLINE void one_row(const sweep *s, float *out, int32_t from, int32_t to, const float *init, int32_t in_step) {
    int32_t j = from;
    for (; to - j > 112; j += 128) tile(s, out, 0, 1, 8, j, to - j < 128 ? to - j : 128, init, in_step);
    if (to - j > 80) tile(s, out, 0, 1, 6, j, to - j < 96 ? to - j : 96, init, in_step), j += 96;
    if (to - j > 64) tile(s, out, 0, 1, 4, j, 64, init, in_step), j += 64;
    if (to - j > 48) tile(s, out, 0, 1, 4, j, to - j, init, in_step);
    else if (to - j > 32) tile(s, out, 0, 1, 3, j, to - j, init, in_step);
    else if (to - j > 16) tile(s, out, 0, 1, 2, j, to - j, init, in_step);
    else if (to > j) tile(s, out, 0, 1, 1, j, to - j, init, in_step);
}

/* One tap, none of it beside the row: the longer loop over input rows takes the place of the taps. False where that
 * cannot be. */
static bool turned(const sweep *s, sweep *q, int32_t from, int32_t to, int32_t *in_step) {
    if (s->taps != 1 || (s->n1 > 1 && s->n2 > 1) || s->n1 * s->n2 < 2) return false;
    if (from + s->shift < 0 || to + s->shift > s->width) return false;
    *q = *s;
    q->n1 = q->n2 = 1;
    q->taps = s->n1 * s->n2;
    *in_step = s->n2 > 1 ? s->in2 : s->in1;
    q->w_step = s->n2 > 1 ? s->w2 : s->w1;
    return *in_step != 1;
}

static void correlate_rows(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                           const float *init) {
    sweep q;
    int32_t in_step = 1;
    if (!turned(s, &q, from, to, &in_step)) q = *s, in_step = 1;
    if (rows == 4) {
        four_rows(&q, out, out_row, from, to, init, in_step);
        return;
    }
    const float *w = q.w;
    for (int32_t r = 0; r < rows; r++) {
        q.w = w + r * s->w_row;
        one_row(&q, out + r * out_row, from, to, init + r, in_step);
    }
}
