/* Zeros around a map: x [C][H][W], y [C][H + ...][W + ...]; immediates: rows above, columns to the left.
 * Padding in front of a convolution never gets here: the convolution takes it over. */
#include "kernel.h"

static bool fits_inside(const bt_operands *o, const bt_tensor *x, const bt_tensor *y) {
    return x->of->rank == 3 && y->of->rank == 3 && x->of->dims[0] == y->of->dims[0] &&
           (uint64_t)o->immediate[0] + x->of->dims[1] <= y->of->dims[1] && (uint64_t)o->immediate[1] + x->of->dims[2] <= y->of->dims[2];
}

BT_CHECK(pad_forward) { return fits_inside(o, &o->view[0], &o->view[1]); }

BT_RUN(pad_forward) {
    const bt_tensor *x = &o->view[0], *y = &o->view[1];
    memset(y->data, 0, y->of->count * sizeof(float));
    for (uint32_t c = 0; c < x->of->dims[0]; c++)
        for (uint32_t r = 0; r < x->of->dims[1]; r++)
            memmove(y->data + (c * y->of->dims[1] + r + o->immediate[0]) * y->of->dims[2] + o->immediate[1],
                    x->data + (c * x->of->dims[1] + r) * x->of->dims[2], x->of->dims[2] * sizeof(float));
}

BT_CHECK(pad_backward) { return fits_inside(o, &o->view[1], &o->view[0]); }

/* dx = the inner part of dy */
BT_RUN(pad_backward) {
    const bt_tensor *dy = &o->view[0], *dx = &o->view[1];
    for (uint32_t c = 0; c < dx->of->dims[0]; c++)
        for (uint32_t r = 0; r < dx->of->dims[1]; r++)
            memmove(dx->data + (c * dx->of->dims[1] + r) * dx->of->dims[2],
                    dy->data + (c * dy->of->dims[1] + r + o->immediate[0]) * dy->of->dims[2] + o->immediate[1],
                    dx->of->dims[2] * sizeof(float));
}
