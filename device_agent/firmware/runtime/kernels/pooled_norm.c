/* Group norm, ReLU and average pool in a row: the two sums that the norm's backward pass needs follow from what little
 * the forward pass can keep of each pooled cell, so that nothing has to be computed again for them.
 *   active [B][Ho][Wo] sum of x̂ over the cell's values that pass ReLU
 *   counts [B][words]  how many these are, one byte a cell, four to a word
 * Immediates: KH, KW, stride H, stride W. Sums over a cell run over the kernel's rows, then columns. */
#include "kernel.h"

static bool cells_fit(const bt_operands *o, const bt_tensor *active, const bt_tensor *counts) {
    if (active->of->rank != 3 || counts->of->rank != 2 || counts->of->dims[0] != active->of->dims[0]) return false;
    const uint64_t cells = (uint64_t)active->of->dims[1] * active->of->dims[2];
    return counts->of->dims[1] == (cells + 3) / 4 && o->immediate[0] && o->immediate[1] &&
           o->immediate[0] <= 255 && o->immediate[1] <= 255 / o->immediate[0];
}

BT_CHECK(active_sums) {
    const bt_tensor *x = &o->view[0], *statistics = &o->view[1], *y = &o->view[2], *active = &o->view[3];
    const uint32_t *m = o->immediate;
    if (x->of->rank != 3 || !bt_same_shape(x, y) || !cells_fit(o, active, &o->view[4]) || !m[2] || !m[3]) return false;
    return active->of->dims[0] == x->of->dims[0] && bt_shape_is(statistics, 2, x->of->dims[0], 2, 0, 0) && m[0] <= x->of->dims[1] &&
           m[1] <= x->of->dims[2] && (x->of->dims[1] - m[0]) / m[2] + 1 == active->of->dims[1] &&
           (x->of->dims[2] - m[1]) / m[3] + 1 == active->of->dims[2];
}

static void sum_active(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t *m = o->immediate, h = o->view[0].of->dims[1], w = o->view[0].of->dims[2];
    const uint32_t ho = o->view[3].of->dims[1], wo = o->view[3].of->dims[2];
    const float mean = o->view[1].data[2 * c], inverse = o->view[1].data[2 * c + 1];
    float *active = o->view[3].data + c * ho * wo;
    uint8_t *counts = (uint8_t *)(o->view[4].data + c * o->view[4].of->dims[1]);
    memset(counts, 0, o->view[4].of->dims[1] * sizeof(float));
    for (uint32_t row = 0; row < ho; row++)
        for (uint32_t i = 0; i < wo; i++) {
            float sum = 0.0f;
            uint32_t count = 0;
            for (uint32_t kh = 0; kh < m[0]; kh++) {
                const uint32_t at = (c * h + row * m[2] + kh) * w + i * m[3];
                const float *x = o->view[0].data + at, *y = o->view[2].data + at;
                for (uint32_t k = 0; k < m[1]; k++)
                    if (!(y[k] <= 0.0f)) {
                        sum += x[k] - mean;
                        count++;
                    }
            }
            active[row * wo + i] = sum * inverse;
            counts[row * wo + i] = (uint8_t)count;
        }
}

/* x [B][H][W], statistics [B][mean, 1/deviation], y = ReLU of the norm -> active, counts */
BT_RUN(active_sums) { bt_port_parallel(o->run->port, sum_active, (void *)(uintptr_t)o, o->view[0].of->dims[0]); }

BT_CHECK(pooled_norm_sums) {
    const bt_tensor *dy = &o->view[0];
    return cells_fit(o, &o->view[1], &o->view[2]) && bt_same_shape(dy, &o->view[1]) &&
           bt_shape_is(&o->view[3], 2, dy->of->dims[0], 2, 0, 0);
}

static void sum_pooled(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t cells = o->view[0].of->count / o->view[0].of->dims[0];
    const float *dy = o->view[0].data + c * cells, *active = o->view[1].data + c * cells;
    const uint8_t *counts = (const uint8_t *)(o->view[2].data + c * o->view[2].of->dims[1]);
    const float share = 1.0f / (float)(o->immediate[0] * o->immediate[1]);
    float plain[BT_LANES] = {0}, dot[BT_LANES] = {0};
    for (uint32_t i = 0; i < cells; i++) {
        const float d = dy[i] * share;
        plain[i % BT_LANES] = fmaf(d, (float)counts[i], plain[i % BT_LANES]);
        dot[i % BT_LANES] = fmaf(d, active[i], dot[i % BT_LANES]);
    }
    o->view[3].data[2 * c] = bt_fold_lanes(plain);
    o->view[3].data[2 * c + 1] = bt_fold_lanes(dot);
}

/* dy [B][Ho][Wo] of the pool, active, counts -> sums [B][sum, sum x̂] of the gradient behind the norm; eight lanes */
BT_RUN(pooled_norm_sums) { bt_port_parallel(o->run->port, sum_pooled, (void *)(uintptr_t)o, o->view[0].of->dims[0]); }
