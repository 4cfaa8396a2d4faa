/* y[m] = w [m][n] x[n] + bias[m]; x and y may have any shape with n and m values. */
#include "kernel.h"

static bool shapes_fit(const bt_tensor *x, const bt_tensor *w, const bt_tensor *bias, const bt_tensor *y) {
    return x->rank && y->rank && bt_shape_is(w, 2, y->count, x->count, 0, 0) &&
           (!bias || !bias->rank || bt_shape_is(bias, 1, y->count, 0, 0, 0));
}

BT_CHECK(linear_forward) { return shapes_fit(&o->view[0], &o->view[1], &o->view[2], &o->view[3]); }

/* The dot product in eight lanes, then the bias. */
BT_RUN(linear_forward) {
    const bt_tensor *x = &o->view[0], *w = &o->view[1], *bias = &o->view[2], *y = &o->view[3];
    for (uint32_t m = 0; m < y->count; m++)
        y->data[m] = bt_dot(w->data + m * x->count, x->data, x->count) + (bias->rank ? bias->data[m] : 0.0f);
}

BT_CHECK(linear_weight_gradient) { return shapes_fit(&o->view[0], &o->view[2], &o->view[3], &o->view[1]); }

/* dw[m][n] += dy[m] * x[n]; dbias[m] += dy[m] */
BT_RUN(linear_weight_gradient) {
    const bt_tensor *x = &o->view[0], *dy = &o->view[1], *dw = &o->view[2], *dbias = &o->view[3];
    for (uint32_t m = 0; m < dy->count; m++) {
        float *row = dw->data + m * x->count;
        for (uint32_t n = 0; n < x->count; n++) row[n] = fmaf(dy->data[m], x->data[n], row[n]);
        if (dbias->rank) dbias->data[m] += dy->data[m];
    }
}

BT_CHECK(linear_input_gradient) { return shapes_fit(&o->view[2], &o->view[1], NULL, &o->view[0]); }

/* dx[n] = sum over m, ascending, of dy[m] * w[m][n] */
BT_RUN(linear_input_gradient) {
    const bt_tensor *dy = &o->view[0], *w = &o->view[1], *dx = &o->view[2];
    memset(dx->data, 0, dx->count * sizeof(float));
    for (uint32_t m = 0; m < dy->count; m++)
        for (uint32_t n = 0; n < dx->count; n++)
            dx->data[n] = fmaf(dy->data[m], w->data[m * dx->count + n], dx->data[n]);
}
