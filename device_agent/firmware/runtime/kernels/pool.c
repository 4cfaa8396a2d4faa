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

BT_RUN(average_pool_forward) {
    const pool p = read_pool(o, &o->view[0], &o->view[1]);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    for (uint32_t c = 0; c < o->view[0].dims[0]; c++)
        for (uint32_t r = 0; r < p.ho; r++)
            for (uint32_t i = 0; i < p.wo; i++) {
                float sum = 0.0f;
                for (uint32_t kh = 0; kh < p.kh; kh++) {
                    const float *x = o->view[0].data + (c * p.h + r * p.stride_h + kh) * p.w + i * p.stride_w;
                    for (uint32_t k = 0; k < p.kw; k++) sum += x[k];
                }
                o->view[1].data[(c * p.ho + r) * p.wo + i] = sum * inverse;
            }
}

BT_CHECK(average_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]);
}

BT_RUN(average_pool_backward) {
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    const float inverse = 1.0f / (float)(p.kh * p.kw);
    memset(o->view[1].data, 0, o->view[1].count * sizeof(float));
    for (uint32_t c = 0; c < o->view[1].dims[0]; c++)
        for (uint32_t r = 0; r < p.ho; r++)
            for (uint32_t i = 0; i < p.wo; i++) {
                const float share = o->view[0].data[(c * p.ho + r) * p.wo + i] * inverse;
                for (uint32_t kh = 0; kh < p.kh; kh++) {
                    float *dx = o->view[1].data + (c * p.h + r * p.stride_h + kh) * p.w + i * p.stride_w;
                    for (uint32_t k = 0; k < p.kw; k++) dx[k] += share;
                }
            }
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

BT_RUN(max_pool_forward) {
    const pool p = read_pool(o, &o->view[0], &o->view[1]);
    for (uint32_t c = 0; c < o->view[0].dims[0]; c++)
        for (uint32_t r = 0; r < p.ho; r++)
            for (uint32_t i = 0; i < p.wo; i++)
                o->view[1].data[(c * p.ho + r) * p.wo + i] = o->view[0].data[find_maximum(o->view[0].data, &p, c, r, i)];
}

BT_CHECK(max_pool_backward) {
    return pool_fits(o, &o->view[1], &o->view[0]) && bt_same_shape(&o->view[1], &o->view[2]);
}

BT_RUN(max_pool_backward) {
    const pool p = read_pool(o, &o->view[1], &o->view[0]);
    memset(o->view[2].data, 0, o->view[2].count * sizeof(float));
    for (uint32_t c = 0; c < o->view[1].dims[0]; c++)
        for (uint32_t r = 0; r < p.ho; r++)
            for (uint32_t i = 0; i < p.wo; i++)
                o->view[2].data[find_maximum(o->view[1].data, &p, c, r, i)] +=
                    o->view[0].data[(c * p.ho + r) * p.wo + i];
}
