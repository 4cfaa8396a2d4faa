/* Average and max pooling without padding: x [C][H][W], y [C][Ho][Wo]; immediates KH, KW, stride H, stride W.
 * A sum runs over the kernel's rows, then columns. A maximum that occurs twice is the first one, as in torch. */
#include "kernel.h"

typedef struct pool {
    uint32_t h, w, ho, wo, kh, kw, stride_h, stride_w;
} pool;

static pool read_pool(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    return (pool){x->of->dims[1], x->of->dims[2], y->of->dims[1], y->of->dims[2], m[0], m[1], m[2], m[3]};
}

static bool pool_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    if (x->of->rank != 3 || y->of->rank != 3 || x->of->dims[0] != y->of->dims[0]) return false;
    const pool p = read_pool(o, x, y);
    return p.kh && p.kw && p.stride_h && p.stride_w && p.kh <= p.h && p.kw <= p.w &&
           (p.h - p.kh) / p.stride_h + 1 == p.ho && (p.w - p.kw) / p.stride_w + 1 == p.wo;
}

BT_CHECK(average_pool_forward) {
    return pool_fits(o, &o->view[0], &o->view[1]);
}

/* A channel, or a stretch of its outputs where there are few channels. */
typedef struct cells {
    uint32_t c, from, to;
} cells;

static uint32_t cell_pieces(const bt_tensor *y) {
    const uint32_t each = y->of->dims[1] * y->of->dims[2];
    return y->of->dims[0] >= BT_STRETCHES || each < BT_STRETCHES ? 1 : BT_STRETCHES;
}

static cells cells_of(const bt_tensor *y, uint32_t index) {
    const uint32_t pieces = cell_pieces(y), each = y->of->dims[1] * y->of->dims[2], part = index % pieces;
    return (cells){index / pieces, each * part / pieces, each * (part + 1) / pieces};
}

static void average_cells(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[0], &o->view[1]);
    const cells all = cells_of(&o->view[1], index);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    float *y = o->view[1].data + all.c * p.ho * p.wo + all.from;
    uint32_t r = all.from / p.wo, i = all.from % p.wo;
    for (uint32_t left = all.to - all.from; left > 0; r++, i = 0) {
        const float *first = o->view[0].data + (all.c * p.h + r * p.stride_h) * p.w + i * p.stride_w;
        for (; i < p.wo && left > 0; i++, left--, first += p.stride_w) {
            const float *x = first;
            float sum = 0.0f;
            for (uint32_t kh = 0; kh < p.kh; kh++, x += p.w) {
                BT_UNROLL
                for (uint32_t k = 0; k < p.kw; k++) sum += x[k];
            }
            *y++ = sum * inverse;
        }
    }
}

BT_RUN(average_pool_forward) {
    const bt_tensor *y = &o->view[1];
    bt_port_parallel(o->run->port, average_cells, (void *)(uintptr_t)o, y->of->dims[0] * cell_pieces(y));
}

BT_CHECK(average_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]);
}

static bool cells_apart(const pool *p) { return p->kh == 1 && p->stride_h == 1 && p->kw == p->stride_w; }

/* Cells that stand apart: each writes its own, the last of a row also the zeros behind it. */
static void spread_cells(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    const cells all = cells_of(&o->view[0], index);
    const float inverse = 1.0f / (float)p.kw;
    const float *dy = o->view[0].data + all.c * p.ho * p.wo + all.from;
    uint32_t r = all.from / p.wo, i = all.from % p.wo;
    for (uint32_t left = all.to - all.from; left > 0; r++, i = 0) {
        float *dx = o->view[1].data + (all.c * p.h + r) * p.w + i * p.kw;
        for (; i < p.wo && left > 0; i++, left--, dx += p.kw) {
            const float share = 0.0f + *dy++ * inverse;
            BT_UNROLL
            for (uint32_t k = 0; k < p.kw; k++) dx[k] = share;
        }
        if (i == p.wo)
            for (uint32_t k = p.wo * p.kw; k < p.w; k++) *dx++ = 0.0f;
    }
}

/* Every value of dx is 0 and the shares of the cells that it is in, in order. */
static void spread_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    const float *dy = o->view[0].data + c * p.ho * p.wo;
    memset(o->view[1].data + c * p.h * p.w, 0, p.h * p.w * sizeof(float));
    for (uint32_t r = 0; r < p.ho; r++)
        for (uint32_t i = 0; i < p.wo; i++) {
            const float share = *dy++ * inverse;
            float *dx = o->view[1].data + (c * p.h + r * p.stride_h) * p.w + i * p.stride_w;
            for (uint32_t kh = 0; kh < p.kh; kh++, dx += p.w)
                for (uint32_t k = 0; k < p.kw; k++) dx[k] += share;
        }
}

BT_RUN(average_pool_backward) {
    const bt_tensor *dy = &o->view[0];
    const pool p = read_pool(o, &o->view[1], dy);
    if (cells_apart(&p)) {
        bt_port_parallel(o->run->port, spread_cells, (void *)(uintptr_t)o, dy->of->dims[0] * cell_pieces(dy));
        return;
    }
    bt_port_parallel(o->run->port, spread_channel, (void *)(uintptr_t)o, dy->of->dims[0]);
}

/* Where in x the maximum of output (c, r, i) stands. */
static uint32_t find_maximum(const float *x, const pool *p, uint32_t c, uint32_t r, uint32_t i) {
    uint32_t best = (c * p->h + r * p->stride_h) * p->w + i * p->stride_w;
    for (uint32_t kh = 0; kh < p->kh; kh++)
        for (uint32_t k = 0; k < p->kw; k++) {
            const uint32_t at = (c * p->h + r * p->stride_h + kh) * p->w + i * p->stride_w + k;
            if (x[at] > x[best] || x[at] != x[at]) best = at; /* NaN wins, as in torch */
        }
    return best;
}

BT_CHECK(max_pool_forward) {
    return pool_fits(o, &o->view[0], &o->view[1]);
}

static void maximum_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[0], &o->view[1]);
    for (uint32_t r = 0; r < p.ho; r++)
        for (uint32_t i = 0; i < p.wo; i++)
            o->view[1].data[(c * p.ho + r) * p.wo + i] = o->view[0].data[find_maximum(o->view[0].data, &p, c, r, i)];
}

BT_RUN(max_pool_forward) {
    bt_port_parallel(o->run->port, maximum_channel, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
}

BT_CHECK(max_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]) && bt_same_shape(&o->view[1], &o->view[2]);
}

static void select_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    memset(o->view[2].data + c * p.h * p.w, 0, p.h * p.w * sizeof(float));
    for (uint32_t r = 0; r < p.ho; r++)
        for (uint32_t i = 0; i < p.wo; i++)
            o->view[2].data[find_maximum(o->view[1].data, &p, c, r, i)] +=
                o->view[0].data[(c * p.ho + r) * p.wo + i];
}

BT_RUN(max_pool_backward) {
    bt_port_parallel(o->run->port, select_channel, (void *)(uintptr_t)o, o->view[1].of->dims[0]);
}
