/* Average and max pooling without padding: x [C][H][W], y [C][Ho][Wo]; immediates KH, KW, stride H, stride W.
 * A sum runs over the kernel's rows, then columns. A maximum that occurs twice is the first one, as in torch. */
#include "kernel.h"

typedef struct pool {
    uint32_t h, w, ho, wo, kh, kw, stride_h, stride_w;
} pool;

static pool read_pool(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    return (pool){x->dims[1], x->dims[2], y->dims[1], y->dims[2], m[0], m[1], m[2], m[3]};
}

static bool pool_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    if (x->rank != 3 || y->rank != 3 || x->dims[0] != y->dims[0]) return false;
    const pool p = read_pool(o, x, y);
    return p.kh && p.kw && p.stride_h && p.stride_w && p.kh <= p.h && p.kw <= p.w &&
           (p.h - p.kh) / p.stride_h + 1 == p.ho && (p.w - p.kw) / p.stride_w + 1 == p.wo;
}

BT_CHECK(average_pool_forward) {
    return pool_fits(o, &o->view[0], &o->view[1]);
}

static void average_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[0], &o->view[1]);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    float *y = o->view[1].data + c * p.ho * p.wo;
    for (uint32_t r = 0; r < p.ho; r++) {
        const float *first = o->view[0].data + (c * p.h + r * p.stride_h) * p.w;
        for (uint32_t i = 0; i < p.wo; i++, first += p.stride_w) {
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
    bt_port_parallel(o->run->port, average_channel, (void *)(uintptr_t)o, o->view[0].dims[0]);
}

BT_CHECK(average_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]);
}

/* Every value of dx is 0 and the shares of the cells that it is in; cells that stand apart are written in one sweep. */
static void spread_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    const bool apart = p.kh == 1 && p.stride_h == 1 && p.kw == p.stride_w;
    const float *dy = o->view[0].data + c * p.ho * p.wo;
    if (!apart) memset(o->view[1].data + c * p.h * p.w, 0, p.h * p.w * sizeof(float));
    for (uint32_t r = 0; r < p.ho; r++) {
        float *first = o->view[1].data + (c * p.h + r * p.stride_h) * p.w;
        const float *end = first + p.w;
        for (uint32_t i = 0; i < p.wo; i++, first += p.stride_w) {
            const float share = 0.0f + *dy++ * inverse;
            if (apart) {
                BT_UNROLL
                for (uint32_t k = 0; k < p.kw; k++) first[k] = share;
                continue;
            }
            float *dx = first;
            for (uint32_t kh = 0; kh < p.kh; kh++, dx += p.w)
                for (uint32_t k = 0; k < p.kw; k++) dx[k] += share;
        }
        for (; apart && first < end; first++) *first = 0.0f;
    }
}

BT_RUN(average_pool_backward) {
    bt_port_parallel(o->run->port, spread_channel, (void *)(uintptr_t)o, o->view[1].dims[0]);
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
    bt_port_parallel(o->run->port, maximum_channel, (void *)(uintptr_t)o, o->view[0].dims[0]);
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
    bt_port_parallel(o->run->port, select_channel, (void *)(uintptr_t)o, o->view[1].dims[0]);
}
