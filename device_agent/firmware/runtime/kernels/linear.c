/* y[r][m] = sum over n of w[m][n] x[r][n], + bias[m]; x and y may have any shape with rows * n and rows * m values. */
#include "kernel.h"

static bool shapes_fit(const bt_tensor *x, const bt_tensor *w, const bt_tensor *bias, const bt_tensor *y) {
    return x->rank && y->rank && w->rank == 2 && x->count % w->dims[1] == 0 && y->count % w->dims[0] == 0 &&
           x->count / w->dims[1] == y->count / w->dims[0] &&
           (!bias || !bias->rank || bt_shape_is(bias, 1, w->dims[0], 0, 0, 0));
}

BT_CHECK(linear_forward) { return shapes_fit(&o->view[0], &o->view[1], &o->view[2], &o->view[3]); }

/* The dot product in eight lanes, then the bias. */
static void output_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const bt_tensor *w = &o->view[1], *bias = &o->view[2];
    const uint32_t inputs = w->dims[1], r = index / w->dims[0], m = index % w->dims[0];
    o->view[3].data[index] = bt_dot(w->data + m * inputs, o->view[0].data + r * inputs, inputs) +
                             (bias->rank ? bias->data[m] : 0.0f);
}

BT_RUN(linear_forward) {
    bt_port_parallel(o->run->port, output_piece, (void *)(uintptr_t)o, o->view[3].count);
}

BT_CHECK(linear_weight_gradient) { return shapes_fit(&o->view[0], &o->view[2], &o->view[3], &o->view[1]); }

/* dw[m][n] += dy[r][m] * x[r][n]; dbias[m] += dy[r][m]; rows ascending. A piece is a stretch of inputs; the first has
 * the bias as well. Two outputs at a time, so that x is read half as often. */
static void weight_gradient_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const bt_tensor *dbias = &o->view[3];
    const uint32_t outputs = o->view[2].dims[0], inputs = o->view[2].dims[1], rows = o->view[1].count / outputs;
    const uint32_t from = bt_stretch_begin(inputs, index), to = bt_stretch_end(inputs, index);
    for (uint32_t r = 0; r < rows; r++) {
        const float *restrict x = o->view[0].data + r * inputs, *dy = o->view[1].data + r * outputs;
        uint32_t m = 0;
        for (; m + 2 <= outputs; m += 2) {
            float *restrict a = o->view[2].data + m * inputs, *restrict b = a + inputs;
            const float u = dy[m], v = dy[m + 1];
            BT_UNROLL
            for (uint32_t n = from; n < to; n++) {
                a[n] = fmaf(u, x[n], a[n]);
                b[n] = fmaf(v, x[n], b[n]);
            }
        }
        for (; m < outputs; m++) {
            float *restrict row = o->view[2].data + m * inputs;
            BT_UNROLL
            for (uint32_t n = from; n < to; n++) row[n] = fmaf(dy[m], x[n], row[n]);
        }
        for (m = 0; dbias->rank && !index && m < outputs; m++) dbias->data[m] += dy[m];
    }
}

BT_RUN(linear_weight_gradient) { bt_stretches(o->run->port, weight_gradient_piece, o, o->view[2].dims[1]); }

BT_CHECK(linear_input_gradient) { return shapes_fit(&o->view[2], &o->view[1], NULL, &o->view[0]); }

/* dx[r][n] = sum over m, ascending, of dy[r][m] * w[m][n]; eight inputs at a time in registers. */
static void input_gradient_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const uint32_t outputs = o->view[1].dims[0], inputs = o->view[1].dims[1], rows = o->view[0].count / outputs;
    const uint32_t from = bt_stretch_begin(inputs, index), to = bt_stretch_end(inputs, index);
    for (uint32_t r = 0; r < rows; r++) {
        const float *dy = o->view[0].data + r * outputs;
        float *dx = o->view[2].data + r * inputs;
        uint32_t n = from;
        for (; n + 8 <= to; n += 8) {
            const float *w = o->view[1].data + n;
            float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
            for (uint32_t m = 0; m < outputs; m++, w += inputs) {
                const float d = dy[m];
                s0 = fmaf(d, w[0], s0), s1 = fmaf(d, w[1], s1), s2 = fmaf(d, w[2], s2), s3 = fmaf(d, w[3], s3);
                s4 = fmaf(d, w[4], s4), s5 = fmaf(d, w[5], s5), s6 = fmaf(d, w[6], s6), s7 = fmaf(d, w[7], s7);
            }
            dx[n] = s0, dx[n + 1] = s1, dx[n + 2] = s2, dx[n + 3] = s3;
            dx[n + 4] = s4, dx[n + 5] = s5, dx[n + 6] = s6, dx[n + 7] = s7;
        }
        for (; n < to; n++) {
            float sum = 0.0f;
            for (uint32_t m = 0; m < outputs; m++) sum = fmaf(dy[m], o->view[1].data[m * inputs + n], sum);
            dx[n] = sum;
        }
    }
}

BT_RUN(linear_input_gradient) { bt_stretches(o->run->port, input_gradient_piece, o, o->view[1].dims[1]); }
