/* y[r][m] = sum over n of w[m][n] x[r][n], + bias[m]; x and y may have any shape with rows * n and rows * m values. */
#include "kernel.h"

static bool shapes_fit(const bt_tensor *x, const bt_tensor *w, const bt_tensor *bias, const bt_tensor *y) {
    return x->rank && y->rank && w->rank == 2 && x->count % w->dims[1] == 0 && y->count % w->dims[0] == 0 &&
           x->count / w->dims[1] == y->count / w->dims[0] &&
           (!bias || !bias->rank || bt_shape_is(bias, 1, w->dims[0], 0, 0, 0));
}

BT_CHECK(linear_forward) { return shapes_fit(&o->view[0], &o->view[1], &o->view[2], &o->view[3]); }

/* The dot product in eight lanes, then the bias. */
BT_RUN(linear_forward) {
    const bt_tensor *w = &o->view[1], *bias = &o->view[2], *y = &o->view[3];
    const uint32_t outputs = w->dims[0], inputs = w->dims[1], rows = y->count / outputs;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t m = 0; m < outputs; m++)
            y->data[r * outputs + m] =
                bt_dot(w->data + m * inputs, o->view[0].data + r * inputs, inputs) + (bias->rank ? bias->data[m] : 0.0f);
}

BT_CHECK(linear_weight_gradient) { return shapes_fit(&o->view[0], &o->view[2], &o->view[3], &o->view[1]); }

/* dw[m][n] += dy[r][m] * x[r][n]; dbias[m] += dy[r][m]; rows ascending */
BT_RUN(linear_weight_gradient) {
    const bt_tensor *dw = &o->view[2], *dbias = &o->view[3];
    const uint32_t outputs = dw->dims[0], inputs = dw->dims[1], rows = o->view[1].count / outputs;
    for (uint32_t r = 0; r < rows; r++) {
        const float *x = o->view[0].data + r * inputs, *dy = o->view[1].data + r * outputs;
        for (uint32_t m = 0; m < outputs; m++) {
            float *row = dw->data + m * inputs;
            for (uint32_t n = 0; n < inputs; n++) row[n] = fmaf(dy[m], x[n], row[n]);
            if (dbias->rank) dbias->data[m] += dy[m];
        }
    }
}

BT_CHECK(linear_input_gradient) { return shapes_fit(&o->view[2], &o->view[1], NULL, &o->view[0]); }

/* dx[r][n] = sum over m, ascending, of dy[r][m] * w[m][n] */
BT_RUN(linear_input_gradient) {
    const bt_tensor *w = &o->view[1], *dx = &o->view[2];
    const uint32_t outputs = w->dims[0], inputs = w->dims[1], rows = o->view[0].count / outputs;
    memset(dx->data, 0, dx->count * sizeof(float));
    for (uint32_t r = 0; r < rows; r++) {
        const float *dy = o->view[0].data + r * outputs;
        float *row = dx->data + r * inputs;
        for (uint32_t m = 0; m < outputs; m++)
            for (uint32_t n = 0; n < inputs; n++) row[n] = fmaf(dy[m], w->data[m * inputs + n], row[n]);
    }
}
