/* y = x with its dimensions in another order: dimension d of y is dimension immediate[d] of x. Both have rank 4. */
#include "kernel.h"

BT_CHECK(permute) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    uint32_t seen = 0;
    if (x->of->rank != 4 || y->of->rank != 4) return false;
    for (uint32_t d = 0; d < 4; d++) {
        if (o->immediate[d] > 3 || y->of->dims[d] != x->of->dims[o->immediate[d]]) return false;
        seen |= 1u << o->immediate[d];
    }
    return seen == 0xf;
}

BT_RUN(permute) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    uint32_t stride[4] = {x->of->dims[1] * x->of->dims[2] * x->of->dims[3], x->of->dims[2] * x->of->dims[3], x->of->dims[3], 1}, step[4];
    for (uint32_t d = 0; d < 4; d++) step[d] = stride[o->immediate[d]];
    float *to = y->data;
    for (uint32_t a = 0; a < y->of->dims[0]; a++)
        for (uint32_t b = 0; b < y->of->dims[1]; b++)
            for (uint32_t c = 0; c < y->of->dims[2]; c++)
                for (uint32_t d = 0; d < y->of->dims[3]; d++)
                    *to++ = x->data[a * step[0] + b * step[1] + c * step[2] + d * step[3]];
}
