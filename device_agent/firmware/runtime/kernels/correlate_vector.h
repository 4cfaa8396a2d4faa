/* correlate() with vectors across eight outputs: tiles of up to 4 rows x 3 vectors, or 1 row x 8 vectors. */

/* Loops over a tile are unrolled, so that its sums stay in registers. */
#define BT_ALL _Pragma("GCC unroll 8")

/* Taps from..to-1 of one input row, none of which reaches beside it. */
BT_INLINE void add_taps(bt_vector *sum, const int32_t rows, const int32_t vectors, const sweep *s, const float *w,
                        const float *in, int32_t in_step, int32_t from, int32_t to) {
    for (int32_t i = from; i < to; i++) {
        bt_vector x[8];
        BT_ALL for (int32_t v = 0; v < vectors; v++) x[v] = bt_vector_load(in + i * in_step + 8 * v);
        BT_ALL for (int32_t r = 0; r < rows; r++) {
            const bt_vector k = bt_vector_all(w[r * s->w_row + i * s->w_step]);
            BT_ALL for (int32_t v = 0; v < vectors; v++) sum[r * vectors + v] = bt_vector_fma(k, x[v], sum[r * vectors + v]);
        }
    }
}

/* The same at an edge: only lanes that lie in the row get a tap. */
BT_INLINE void add_reached(bt_vector *sum, const int32_t rows, const int32_t vectors, const sweep *s, const float *w,
                           const float *in, int32_t at, int32_t from, int32_t to) {
    for (int32_t i = from; i < to; i++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) {
            const int32_t place = at + i + 8 * v, left = -place, right = s->width - place;
            if (left >= 8 || right <= 0) continue;
            if (left <= 0 && right >= 8) {
                const bt_vector x = bt_vector_load(in + place);
                BT_ALL for (int32_t r = 0; r < rows; r++)
                    sum[r * vectors + v] =
                        bt_vector_fma(bt_vector_all(w[r * s->w_row + i * s->w_step]), x, sum[r * vectors + v]);
            } else {
                const bt_vector x = bt_vector_load_part(in + place, left, right);
                BT_ALL for (int32_t r = 0; r < rows; r++) {
                    const bt_vector k = bt_vector_all(w[r * s->w_row + i * s->w_step]), old = sum[r * vectors + v];
                    sum[r * vectors + v] = bt_vector_choose(bt_vector_fma(k, x, old), old, left, right);
                }
            }
        }
}

/* `count` outputs from `from`: all that the vectors hold, or fewer than 8 in one vector. `in_step` is 1, or what lies
 * between the taps of a sweep all of which lies inside. */
BT_INLINE void tile(const sweep *s, float *out, int32_t out_row, const int32_t rows, const int32_t vectors,
                    int32_t from, int32_t count, const float *init, int32_t in_step) {
    bt_vector sum[12];
    const int32_t at = from + s->shift, left = -at, right = s->width - at - 8 * vectors + 1;
    int32_t first = left < 0 ? 0 : left > s->taps ? s->taps : left;
    int32_t last = right > s->taps ? s->taps : right < first ? first : right;
    if (in_step != 1 && count >= 8) first = 0, last = s->taps;
    /* the first tap that any output has in the row, and the end of those that the first has */
    const int32_t begin = left < 8 * vectors ? 0 : left - 8 * vectors + 1, past = s->width - at;
    const int32_t end = past < last ? last : past < s->taps ? past : s->taps;
    BT_ALL for (int32_t r = 0; r < rows; r++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) sum[r * vectors + v] = bt_vector_all(init[r]);
    for (int32_t a = 0; a < s->n1; a++)
        for (int32_t b = 0; b < s->n2; b++) {
            const float *w = s->w + a * s->w1 + b * s->w2, *in = s->in + a * s->in1 + b * s->in2;
            if (first > 0) add_reached(sum, rows, vectors, s, w, in, at, begin, first);
            add_taps(sum, rows, vectors, s, w, in + at, in_step, first, last);
            if (last < end) add_reached(sum, rows, vectors, s, w, in, at, last, end);
        }
    BT_ALL for (int32_t r = 0; r < rows; r++)
        BT_ALL for (int32_t v = 0; v < vectors; v++) {
            float *y = out + r * out_row + from + 8 * v;
            if (count < 8) bt_vector_store_part(y, sum[r * vectors + v], count);
            else bt_vector_store(y, sum[r * vectors + v]);
        }
}

/* Tiles of `most` vectors, then as many as are left; the last vector may overlap the one before it. */
BT_INLINE void tiles(const sweep *s, float *out, int32_t out_row, const int32_t rows, const int32_t most,
                     int32_t from, int32_t to, const float *init, int32_t in_step) {
    int32_t j = from;
    /* a single vector alone would wait for itself: leave enough for two of 16 */
    const int32_t enough = most == 3 && (to - from) % 24 <= 8 && (to - from) % 24 > 0 ? to - 24 : to;
    while (j + 8 * most <= enough) {
        const int32_t at = j + s->shift, wide = 8 * most;
        /* over an edge narrower tiles: less is left out */
        const bool inside = in_step != 1 || (at >= 0 && at + s->taps + wide - 1 <= s->width);
        if (!inside && rows == 4 && s->width > 4 * wide) tile(s, out, out_row, rows, 2, j, 16, init, in_step), j += 16;
        else tile(s, out, out_row, rows, most, j, wide, init, in_step), j += wide;
    }
    if (rows == 1)
        for (; j + 32 <= to; j += 32) tile(s, out, out_row, rows, 4, j, 32, init, in_step);
    for (; j + 16 <= to; j += 16) tile(s, out, out_row, rows, 2, j, 16, init, in_step);
    if (j + 8 < to && from + 16 <= to) {
        tile(s, out, out_row, rows, 2, to - 16, 16, init, in_step);
        return;
    }
    for (; j + 8 <= to; j += 8) tile(s, out, out_row, rows, 1, j, 8, init, in_step);
    if (j < to) tile(s, out, out_row, rows, 1, from + 8 <= to ? to - 8 : j, from + 8 <= to ? 8 : to - j, init, in_step);
}

/* One tap, none of it beside the row: the longer loop over input rows takes the place of the taps. False where that
 * cannot be. */
static bool turned(const sweep *s, sweep *q, int32_t from, int32_t to, int32_t *in_step) {
    if (s->taps != 1 || (s->n1 > 1 && s->n2 > 1) || s->n1 * s->n2 < 2 || to - from < 8) return false;
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
        tiles(&q, out, out_row, 4, 3, from, to, init, in_step);
        return;
    }
    const float *w = q.w;
    for (int32_t r = 0; r < rows; r++) {
        q.w = w + r * s->w_row;
        tiles(&q, out + r * out_row, out_row, 1, 8, from, to, init + r, in_step);
    }
}
