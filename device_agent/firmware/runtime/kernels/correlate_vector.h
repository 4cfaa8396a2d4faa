/* correlate() with vectors across eight outputs: tiles of up to 4 rows x 3 vectors, or 1 row x 8 vectors. */

/* One vector gets one tap from in[at..at+8), in the lanes that lie in the row. */
BT_INLINE bt_vector add_reached(bt_vector sum, bt_vector w, const float *in, int32_t at, int32_t width) {
    if (at >= 0 && at + 8 <= width) return bt_vector_fma(w, bt_vector_load(in + at), sum);
    if (at + 8 <= 0 || at >= width) return sum;
    return bt_vector_choose(bt_vector_fma(w, bt_vector_load_part(in + at, -at, width - at), sum), sum, -at, width - at);
}

/* Taps from..to-1 of one input row; `inside`: none of them reaches beside it. */
BT_INLINE void add_taps(bt_vector *sum, const int32_t rows, const int32_t vectors, const bool inside, const sweep *s,
                        const float *w, const float *in, int32_t at, int32_t from, int32_t to) {
    for (int32_t i = from; i < to; i++)
        if (inside) {
            bt_vector x[8];
            for (int32_t v = 0; v < vectors; v++) x[v] = bt_vector_load(in + at + i + 8 * v);
            for (int32_t r = 0; r < rows; r++) {
                const bt_vector k = bt_vector_all(w[r * s->w_row + i * s->w_step]);
                for (int32_t v = 0; v < vectors; v++)
                    sum[r * vectors + v] = bt_vector_fma(k, x[v], sum[r * vectors + v]);
            }
        } else {
            for (int32_t r = 0; r < rows; r++) {
                const bt_vector k = bt_vector_all(w[r * s->w_row + i * s->w_step]);
                for (int32_t v = 0; v < vectors; v++)
                    sum[r * vectors + v] = add_reached(sum[r * vectors + v], k, in, at + i + 8 * v, s->width);
            }
        }
}

/* `count` outputs from `from`: all that the vectors hold, or fewer than 8 in one vector. */
BT_INLINE void tile(const sweep *s, float *out, int32_t out_row, const int32_t rows, const int32_t vectors,
                    int32_t from, int32_t count, const float *init) {
    bt_vector sum[12];
    const int32_t at = from + s->shift, left = -at, right = s->width - at - 8 * vectors + 1;
    const int32_t first = left < 0 ? 0 : left > s->taps ? s->taps : left;
    const int32_t last = right > s->taps ? s->taps : right < first ? first : right;
    for (int32_t r = 0; r < rows; r++)
        for (int32_t v = 0; v < vectors; v++) sum[r * vectors + v] = bt_vector_all(init[r]);
    for (int32_t a = 0; a < s->n1; a++)
        for (int32_t b = 0; b < s->n2; b++) {
            const float *w = s->w + a * s->w1 + b * s->w2, *in = s->in + a * s->in1 + b * s->in2;
            add_taps(sum, rows, vectors, false, s, w, in, at, 0, first);
            add_taps(sum, rows, vectors, true, s, w, in, at, first, last);
            add_taps(sum, rows, vectors, false, s, w, in, at, last, s->taps);
        }
    for (int32_t r = 0; r < rows; r++)
        for (int32_t v = 0; v < vectors; v++) {
            float *y = out + r * out_row + from + 8 * v;
            if (count < 8) bt_vector_store_part(y, sum[r * vectors + v], count);
            else bt_vector_store(y, sum[r * vectors + v]);
        }
}

/* Tiles of `most` vectors, then as many as are left; the last vector may overlap the one before it. */
BT_INLINE void tiles(const sweep *s, float *out, int32_t out_row, const int32_t rows, const int32_t most,
                     int32_t from, int32_t to, const float *init) {
    int32_t j = from;
    for (; j + 8 * most <= to; j += 8 * most) tile(s, out, out_row, rows, most, j, 8 * most, init);
    if (rows == 1)
        for (; j + 32 <= to; j += 32) tile(s, out, out_row, rows, 4, j, 32, init);
    for (; j + 16 <= to; j += 16) tile(s, out, out_row, rows, 2, j, 16, init);
    if (j + 8 < to && from + 16 <= to) {
        tile(s, out, out_row, rows, 2, to - 16, 16, init);
        return;
    }
    for (; j + 8 <= to; j += 8) tile(s, out, out_row, rows, 1, j, 8, init);
    if (j < to) tile(s, out, out_row, rows, 1, from + 8 <= to ? to - 8 : j, from + 8 <= to ? 8 : to - j, init);
}

static void correlate_rows(const sweep *s, float *out, int32_t out_row, int32_t rows, int32_t from, int32_t to,
                           const float *init) {
    if (rows == 4) {
        tiles(s, out, out_row, 4, 3, from, to, init);
        return;
    }
    sweep one = *s;
    for (int32_t r = 0; r < rows; r++) {
        one.w = s->w + r * s->w_row;
        tiles(&one, out + r * out_row, out_row, 1, 8, from, to, init + r);
    }
}
