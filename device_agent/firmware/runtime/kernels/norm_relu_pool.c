/* Group norm, ReLU and average pool in one sweep, forward and backward: what lies between them is never stored.
 * x [B][H][W]; y and dy [B][H][W / cell], cells of `cell` values side by side, what is left of a row in none; with a cell
 * of 1 there is no pool. Immediate: cell. Each value is that of norm_apply, relu_forward, average_pool_forward,
 * average_pool_backward, relu_backward, norm_backward_sums and norm_backward_apply one after the other, bit for bit. */
#include "norm_rows.h"
#include "vector.h"
#if defined(__AVX512F__) && !defined(BT_PLAIN_LOOPS)
#include "pool_wide.h"
#define BT_WIDE_POOL 1
#endif

typedef struct rows {
    uint32_t channels, h, w, cell, cells, n; /* cells of a row; values of a channel */
} rows;

static rows read_rows(const bt_operands *o, const bt_tensor *x) {
    const uint32_t cell = o->immediate[0], w = x->of->dims[2];
    return (rows){x->of->dims[0], x->of->dims[1], w, cell, w / cell, x->of->dims[1] * w};
}

/* One channel's norm. */
typedef struct channel {
    float mean, inverse, gamma, gain, beta, share; /* share: 1 / cell */
} channel;

static channel read_channel(const bt_operands *o, uint32_t c, uint32_t statistics, uint32_t gamma, uint32_t cell) {
    const float *pair = o->view[statistics].data + 2 * c, scale = o->view[gamma].data[c];
    return (channel){pair[0], pair[1], scale, scale * pair[1], o->view[gamma + 1].data[c], 1.0f / (float)cell};
}

static bool fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *pooled, uint32_t statistics, uint32_t gamma) {
    const uint32_t cell = o->immediate[0];
    if (x->of->rank != 3 || !cell || cell > x->of->dims[2]) return false;
    return bt_shape_is(pooled, 3, x->of->dims[0], x->of->dims[1], x->of->dims[2] / cell, 0) &&
           bt_shape_is(&o->view[statistics], 2, x->of->dims[0], 2, 0, 0) &&
           bt_shape_is(&o->view[gamma], 1, x->of->dims[0], 0, 0, 0) && bt_shape_is(&o->view[gamma + 1], 1, x->of->dims[0], 0, 0, 0);
}

/* Pieces of a channel where cores would be idle: rows and stretches of whole cells of a row. */
typedef struct part {
    uint32_t c, r, from, to; /* cells; the last of a row also has what is left of it */
} part;

static uint32_t parts_of_row(const rows *s) {
    const uint32_t rows_there = s->channels * s->h;
    if (BT_STRETCHES == 1 || rows_there >= BT_STRETCHES || s->w < 32) return 1;
    const uint32_t wanted = (BT_STRETCHES + rows_there - 1) / rows_there;
    return wanted < s->cells ? wanted : 1;
}

static part part_of(const rows *s, uint32_t index) {
    const uint32_t parts = parts_of_row(s), i = index % parts, row = index / parts;
    return (part){row / s->h, row % s->h, s->cells * i / parts, s->cells * (i + 1) / parts};
}

static uint32_t part_count(const rows *s) { return s->channels * s->h * parts_of_row(s); }

BT_CHECK(norm_relu_pool_forward) { return fits(o, &o->view[0], &o->view[4], 1, 2); }

#define BT_NORMED(x) fmaf((x) - n.mean, n.gain, n.beta)

static void forward_part(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const rows s = read_rows(o, &o->view[0]);
    const part p = part_of(&s, index);
    const channel n = read_channel(o, p.c, 1, 2, s.cell);
    const float *x = o->view[0].data + p.c * s.n + p.r * s.w + p.from * s.cell;
    float *y = o->view[4].data + (p.c * s.h + p.r) * s.cells + p.from, *end = y + (p.to - p.from);
    if (s.cell == 1) {
        for (; y != end; x++, y++) {
            const float v = BT_NORMED(*x);
            *y = v < 0.0f ? 0.0f : v;
        }
        return;
    }
#ifdef BT_WIDE_POOL
    if (pool_wide(x, y, p.to - p.from, s.cell, n.mean, n.gain, n.beta, n.share)) return;
#endif
#ifdef BT_VECTOR
    /* as many cells as a piece of memory holds, so that only their sums go value by value */
    enum { HELD = 512 };
    const uint32_t most = HELD / s.cell;
    while (most && y != end) {
        const uint32_t cells = (uint32_t)(end - y) < most ? (uint32_t)(end - y) : most, count = cells * s.cell;
        float held[HELD];
        for (uint32_t i = 0; i < count; i++) {
            const float v = BT_NORMED(x[i]);
            held[i] = v < 0.0f ? 0.0f : v;
        }
        x += count;
        const float *value = held;
        for (uint32_t c = 0; c < cells; c++, value += s.cell) {
            float sum = 0.0f + value[0];
            if (s.cell == 8) { /* the usual widths, without a loop */
                sum += value[1], sum += value[2], sum += value[3], sum += value[4];
                sum += value[5], sum += value[6], sum += value[7];
            } else if (s.cell == 4) {
                sum += value[1], sum += value[2], sum += value[3];
            } else {
                for (uint32_t k = 1; k < s.cell; k++) sum += value[k];
            }
            *y++ = sum * n.share;
        }
    }
#endif
    const uint32_t fours = s.cell / 4, rest = s.cell % 4;
    for (; y != end; y++) {
        float sum = 0.0f;
        for (uint32_t k = fours; k > 0; k--, x += 4) {
            const float a = BT_NORMED(x[0]), b = BT_NORMED(x[1]), c = BT_NORMED(x[2]), d = BT_NORMED(x[3]);
            if (!(a < 0.0f)) sum += a; /* to add 0 changes nothing */
            if (!(b < 0.0f)) sum += b;
            if (!(c < 0.0f)) sum += c;
            if (!(d < 0.0f)) sum += d;
        }
        for (uint32_t k = rest; k > 0; k--, x++) {
            const float v = BT_NORMED(*x);
            if (!(v < 0.0f)) sum += v;
        }
        *y = sum * n.share;
    }
}

/* x, statistics, gamma, beta -> y */
BT_RUN(norm_relu_pool_forward) {
    const rows s = read_rows(o, &o->view[0]);
    bt_port_parallel(o->run->port, forward_part, (void *)(uintptr_t)o, part_count(&s));
}

#ifdef BT_VECTOR
enum { CHUNK = 256 };

/* Gradient behind the pool of values from..from + count of a channel; nothing in what is left of a row. */
static void spread(const rows *s, const float *dy, float share, uint32_t from, uint32_t count, float *g) {
    const uint32_t cell = s->cell, end = s->cells * cell;
    uint32_t r = from / s->w, i = from % s->w;
    for (uint32_t k = 0; k < count; r++, i = 0) {
        const uint32_t stop = s->w - i < count - k ? s->w : i + count - k;
#ifdef BT_WIDE_POOL
        if (spreads_wide(cell)) {
            spread_row(dy + r * s->cells, s->cells, cell, share, i, stop, end, g + k);
            k += stop - i;
            continue;
        }
#endif
        const float *given = dy + r * s->cells + i / cell;
        uint32_t next = (i / cell + 1) * cell;
        for (; i < stop && i < end; next += cell, given++) {
            const float value = cell == 1 ? *given : 0.0f + *given * share;
            if (next <= stop && next - i == 8) {
                bt_vector_store(g + k, bt_vector_all(value));
                k += 8, i = next;
            } else if (next <= stop && next - i == 4) {
                g[k] = g[k + 1] = g[k + 2] = g[k + 3] = value;
                k += 4, i = next;
            } else {
                for (; i < next && i < stop; i++) g[k++] = value;
            }
        }
        for (; i < stop; i++) g[k++] = 0.0f;
    }
}

static void backward_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const rows s = read_rows(o, &o->view[1]);
    const channel n = read_channel(o, c, 2, 4, s.cell);
    const float mean_g = o->view[3].data[2 * c], slope = o->view[3].data[2 * c + 1];
    for (uint32_t from = 0; from < s.n; from += CHUNK) {
        const uint32_t count = s.n - from < CHUNK ? s.n - from : CHUNK;
        const float *x = o->view[1].data + c * s.n + from;
        float g[CHUNK], *dx = o->view[6].data + c * s.n + from;
        spread(&s, o->view[0].data + c * s.h * s.cells, n.share, from, count, g);
        for (uint32_t i = 0; i < count; i++) {
            const float centred = n.mean - x[i];
            g[i] = fmaf(-centred, n.gain, n.beta) <= 0.0f ? 0.0f : g[i];
            g[i] = fmaf(centred, slope, fmaf(n.gamma, g[i], -mean_g)) * n.inverse;
        }
        memcpy(dx, g, count * sizeof *g);
    }
}
#endif

BT_CHECK(norm_relu_pool_backward) {
    const bt_tensor *x = &o->view[1];
    return fits(o, x, &o->view[0], 2, 4) && bt_shape_is(&o->view[3], 2, x->of->dims[0], 2, 0, 0) &&
           bt_same_shape(x, &o->view[6]);
}

static void backward_part(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const rows s = read_rows(o, &o->view[1]);
    const part p = part_of(&s, index);
    const channel n = read_channel(o, p.c, 2, 4, s.cell);
    const float mean_g = o->view[3].data[2 * p.c], slope = o->view[3].data[2 * p.c + 1];
    const uint32_t at = p.c * s.n + p.r * s.w + p.from * s.cell;
    const float *x = o->view[1].data + at, *dy = o->view[0].data + (p.c * s.h + p.r) * s.cells + p.from;
    float *dx = o->view[6].data + at;
    const float without = fmaf(n.gamma, 0.0f, -mean_g);
    for (uint32_t i = p.from; i < p.to; i++) {
        const float g = s.cell == 1 ? *dy++ : 0.0f + *dy++ * n.share, with = fmaf(n.gamma, g, -mean_g);
#define BT_INTO(k)                                                                                            \
    do {                                                                                                      \
        const float centred = n.mean - x[k];                                                                  \
        dx[k] = fmaf(centred, slope, fmaf(-centred, n.gain, n.beta) <= 0.0f ? without : with) * n.inverse;    \
    } while (0)
        uint32_t k = s.cell;
        for (; k >= 4; k -= 4, x += 4, dx += 4) {
            BT_INTO(0);
            BT_INTO(1);
            BT_INTO(2);
            BT_INTO(3);
        }
        for (; k > 0; k--, x++, dx++) BT_INTO(0);
#undef BT_INTO
    }
    if (p.to == s.cells)
        for (uint32_t i = s.cells * s.cell; i < s.w; i++, x++, dx++) *dx = fmaf(n.mean - *x, slope, without) * n.inverse;
}

/* dy, x, statistics, means, gamma, beta -> dx, which may be x (or dy, where there is no pool) */
BT_RUN(norm_relu_pool_backward) {
    const rows s = read_rows(o, &o->view[1]);
#ifdef BT_VECTOR
    bt_port_parallel(o->run->port, backward_channel, (void *)(uintptr_t)o, s.channels);
    (void)backward_part;
#else
    bt_port_parallel(o->run->port, backward_part, (void *)(uintptr_t)o, part_count(&s));
#endif
}

BT_CHECK(norm_relu_pool_backward_sums) {
    const bt_tensor *x = &o->view[1], *g = &o->view[6];
    return fits(o, x, &o->view[0], 2, 3) && bt_shape_is(&o->view[5], 2, x->of->dims[0], 2, 0, 0) &&
           (!g->of->rank || bt_same_shape(x, g));
}

/* Both sums of one channel, in eight lanes each. */
typedef struct lanes {
    float plain[BT_LANES], dot[BT_LANES];
} lanes;

/* What is silenced by ReLU adds nothing to a sum: 0 is left out. */
#define BT_ADD(at, share)                                    \
    do {                                                     \
        const float d = (at) - n.mean, given = (share);      \
        silent = fmaf(d, n.gain, n.beta) <= 0.0f;            \
        if (!silent) plain += given, dot = fmaf(given, d, dot); \
    } while (0)

/* Lane `lane` of a channel. */
static void sum_lane(const bt_operands *o, const rows *s, const channel *norm, uint32_t c, uint32_t lane, lanes *sum) {
    const channel n = *norm;
    const uint32_t end = s->cells * s->cell, step = BT_LANES % s->cell ? 0 : BT_LANES / s->cell;
    float plain = 0.0f, dot = 0.0f;
    bool silent;
    for (uint32_t r = 0; r < s->h; r++) {
        uint32_t i = (lane - r * s->w) % BT_LANES, within = i % s->cell;
        const float *row = o->view[1].data + c * s->n + r * s->w, *x = row + i, *stop = row + end;
        const float *dy = o->view[0].data + (c * s->h + r) * s->cells + i / s->cell;
        if (o->view[6].of->rank) {
            float *g = o->view[6].data + c * s->n + r * s->w;
            for (; i < end; i += BT_LANES) {
                const float share = s->cell == 1 ? *dy : 0.0f + *dy * n.share;
                BT_ADD(row[i], share);
                g[i] = silent ? 0.0f : share;
                dy += step;
                for (within += step ? 0 : BT_LANES; within >= s->cell; within -= s->cell) dy++;
            }
            for (; i < s->w; i += BT_LANES) g[i] = 0.0f;
        } else if (s->cell == 1) {
            for (; x < stop; x += BT_LANES, dy += BT_LANES) BT_ADD(*x, *dy);
        } else if (step) {
            BT_UNROLL
            for (; x < stop; x += BT_LANES, dy += step) BT_ADD(*x, *dy * n.share);
        } else {
            for (; x < stop; x += BT_LANES) {
                BT_ADD(*x, *dy * n.share);
                for (within += BT_LANES; within >= s->cell; within -= s->cell) dy++;
            }
        }
    }
    sum->plain[lane] = plain;
    sum->dot[lane] = dot;
}

static void finish_sums(const bt_operands *o, uint32_t c, const lanes *sum) {
    float *out = o->view[5].data + 2 * c;
    out[0] = bt_fold_lanes(sum->plain);
    out[1] = bt_fold_lanes(sum->dot) * o->view[2].data[2 * c + 1];
}

/* Channels, or lanes of them where cores would be idle. */
static uint32_t lane_parts(const rows *s) { return bt_few_rows(s->channels, s->n) ? BT_LANES : 1; }

typedef struct sum_job {
    const bt_operands *o;
    rows s;
    lanes few[BT_STRETCHES]; /* of few channels */
} sum_job;

#ifdef BT_VECTOR
static void sum_channel(const sum_job *job, uint32_t c, lanes *sum) {
    const bt_operands *o = job->o;
    const rows *s = &job->s;
    const channel n = read_channel(o, c, 2, 3, s->cell);
    const float *dy = o->view[0].data + c * s->h * s->cells;
    float plain[BT_LANES] = {0}, dot[BT_LANES] = {0};
    for (uint32_t from = 0; from < s->n; from += CHUNK) {
        const uint32_t count = s->n - from < CHUNK ? s->n - from : CHUNK;
        const float *restrict x = o->view[1].data + c * s->n + from;
        float g[CHUNK], d[CHUNK];
        spread(s, dy, n.share, from, count, g);
        for (uint32_t i = 0; i < count; i++) {
            d[i] = x[i] - n.mean;
            g[i] = fmaf(d[i], n.gain, n.beta) <= 0.0f ? 0.0f : g[i];
        }
        uint32_t i = 0;
        bt_vector sum_g = bt_vector_load(plain), sum_dot = bt_vector_load(dot);
        for (; i + BT_LANES <= count; i += BT_LANES) {
            const bt_vector given = bt_vector_load(g + i);
            sum_g = bt_vector_add(sum_g, given);
            sum_dot = bt_vector_fma(given, bt_vector_load(d + i), sum_dot);
        }
        bt_vector_store(plain, sum_g);
        bt_vector_store(dot, sum_dot);
        for (uint32_t j = 0; i + j < count; j++) {
            plain[j] += g[i + j];
            dot[j] = fmaf(g[i + j], d[i + j], dot[j]);
        }
        if (o->view[6].of->rank) memcpy(o->view[6].data + c * s->n + from, g, count * sizeof(float));
    }
    memcpy(sum->plain, plain, sizeof plain);
    memcpy(sum->dot, dot, sizeof dot);
}
#else
static void sum_channel(const sum_job *job, uint32_t c, lanes *sum) {
    const channel n = read_channel(job->o, c, 2, 3, job->s.cell);
    for (uint32_t lane = 0; lane < BT_LANES; lane++) sum_lane(job->o, &job->s, &n, c, lane, sum);
}
#endif

static void sum_piece(void *arg, uint32_t index) {
    sum_job *job = arg;
    if (lane_parts(&job->s) == 1) {
        lanes sum;
        sum_channel(job, index, &sum);
        finish_sums(job->o, index, &sum);
        return;
    }
    const uint32_t c = index / BT_LANES;
    const channel n = read_channel(job->o, c, 2, 3, job->s.cell);
    sum_lane(job->o, &job->s, &n, c, index % BT_LANES, &job->few[c]);
}

/* dy, x, statistics, gamma, beta -> sums [B][sum g, sum g x̂] of the gradient g behind the norm, and g itself where it is
 * asked for; g may be x. */
BT_RUN(norm_relu_pool_backward_sums) {
    sum_job job = {.o = o, .s = read_rows(o, &o->view[1])};
    const uint32_t parts = lane_parts(&job.s);
    bt_port_parallel(o->run->port, sum_piece, &job, job.s.channels * parts);
    for (uint32_t c = 0; c < job.s.channels && parts > 1; c++) finish_sums(o, c, &job.few[c]);
}
