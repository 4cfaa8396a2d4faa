/* y[r][m] = sum over n of w[m][n] x[r][n], + bias[m]; x and y may have any shape with rows * n and rows * m values. */
#include "kernel.h"
#include "vector.h"

#if !defined(BT_VECTOR) && !defined(BT_PLAIN_LOOPS)
#define BT_SIXTEEN 1 /* 32 float registers hold a row of sixteen inputs */
#endif

static bool shapes_fit(const bt_tensor *x, const bt_tensor *w, const bt_tensor *bias, const bt_tensor *y) {
    return x->of->rank && y->of->rank && w->of->rank == 2 && x->of->count % w->of->dims[1] == 0 && y->of->count % w->of->dims[0] == 0 &&
           x->of->count / w->of->dims[1] == y->of->count / w->of->dims[0] &&
           (!bias || !bias->of->rank || bt_shape_is(bias, 1, w->of->dims[0], 0, 0, 0));
}

BT_CHECK(linear_forward) { return shapes_fit(&o->view[0], &o->view[1], &o->view[2], &o->view[3]); }

#ifdef BT_SIXTEEN
/* bt_dot with its lanes in registers. */
static float lanes_dot(const float *x, const float *y, uint32_t n) {
    const float *const whole = x + (n & ~7u);
    float lane[BT_LANES] = {0};
    for (; x != whole; x += BT_LANES, y += BT_LANES)
        BT_EIGHT for (int i = 0; i < BT_LANES; i++) lane[i] = fmaf(x[i], y[i], lane[i]);
    BT_EIGHT for (int i = 0; i < BT_LANES; i++)
        if (i < (int)(n & 7)) lane[i] = fmaf(x[i], y[i], lane[i]);
    return bt_fold_lanes(lane);
}
#else
#define lanes_dot bt_dot
#endif

/* The dot product in eight lanes, then the bias. */
static void output_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const bt_tensor *w = &o->view[1], *bias = &o->view[2];
    const uint32_t inputs = w->of->dims[1], r = index / w->of->dims[0], m = index % w->of->dims[0];
    o->view[3].data[index] = lanes_dot(w->data + m * inputs, o->view[0].data + r * inputs, inputs) +
                             (bias->of->rank ? bias->data[m] : 0.0f);
}

#ifdef BT_SIXTEEN
enum { SIXTEEN = 16 };
#define BT_FULL _Pragma("GCC unroll 16")

/* One row of sixteen inputs, all of which stay in registers. */
static void forward_sixteen(const bt_operands *o) {
    const float *w = o->view[1].data, *bias = o->view[2].data;
    float x[SIXTEEN], *y = o->view[3].data, *const end = y + o->view[3].of->count;
    BT_FULL for (int i = 0; i < SIXTEEN; i++) x[i] = o->view[0].data[i];
    for (; y != end; y++, w += SIXTEEN) {
        float lane[BT_LANES];
        BT_FULL for (int i = 0; i < BT_LANES; i++) lane[i] = fmaf(w[i], x[i], 0.0f);
        BT_FULL for (int i = 0; i < BT_LANES; i++) lane[i] = fmaf(w[BT_LANES + i], x[BT_LANES + i], lane[i]);
        *y = bt_fold_lanes(lane) + (bias ? *bias++ : 0.0f);
    }
}

/* The same row's outer product with dy, added to dw. */
static void weight_gradient_sixteen(const bt_operands *o) {
    const float *dy = o->view[1].data, *const end = dy + o->view[1].of->count;
    float x[SIXTEEN], *dw = o->view[3].data, *dbias = o->view[4].data;
    BT_FULL for (int i = 0; i < SIXTEEN; i++) x[i] = o->view[0].data[i];
    for (; dy != end; dy++, dw += SIXTEEN) {
        const float d = *dy;
        BT_FULL for (int i = 0; i < SIXTEEN; i++) dw[i] = fmaf(d, x[i], dw[i]);
        if (dbias) *dbias++ += d;
    }
}
static inline bool is_sixteen(const bt_tensor *x, const bt_tensor *w) {
    return x->of->count == SIXTEEN && w->of->dims[1] == SIXTEEN;
}
#endif

BT_RUN(linear_forward) {
#ifdef BT_SIXTEEN
    if (is_sixteen(&o->view[0], &o->view[1])) {
        forward_sixteen(o);
        return;
    }
#endif
    bt_port_parallel(o->run->port, output_piece, (void *)(uintptr_t)o, o->view[3].of->count);
}

/* Both gradients, or one of them: x and dw are left out together, and so are w and dx. */
BT_CHECK(linear_backward) {
    const bt_tensor *x = &o->view[0], *dy = &o->view[1], *w = &o->view[2], *dw = &o->view[3], *dbias = &o->view[4], *dx = &o->view[5];
    const bool of_weights = dw->of->rank, of_inputs = dx->of->rank;
    if (!x->of->rank == of_weights || !w->of->rank == of_inputs || !dy->of->rank) return false;
    if (of_weights && !shapes_fit(x, dw, dbias, dy)) return false;
    if (of_inputs && !shapes_fit(dx, w, dbias, dy)) return false;
    if (of_weights && of_inputs) return bt_same_shape(w, dw);
    return of_weights || of_inputs || (dbias->of->rank == 1 && dy->of->count % dbias->of->count == 0);
}

/* to[n] += d * x[n], and the same for a second row where there is one; eight at a time, loads before stores. */
static inline __attribute__((always_inline)) void add_row(const float *x, uint32_t count, float u, float *a,
                                                          const bool two, float v, float *b) {
    const float *const whole = x + (count & ~7u), *const end = x + count;
    while (x != whole) {
        float s[8], t[8];
        BT_EIGHT for (int i = 0; i < 8; i++) {
            s[i] = fmaf(u, x[i], a[i]);
            if (two) t[i] = fmaf(v, x[i], b[i]);
        }
        BT_EIGHT for (int i = 0; i < 8; i++) {
            a[i] = s[i];
            if (two) b[i] = t[i];
        }
        x += 8, a += 8;
        if (two) b += 8;
    }
    for (; x != end; x++) {
        *a = fmaf(u, *x, *a);
        a++;
        if (!two) continue;
        *b = fmaf(v, *x, *b);
        b++;
    }
}

/* dw[m][n] += dy[r][m] * x[r][n], rows ascending. Two outputs at a time, so that x is read half as often. */
static inline void weight_stretch(const bt_operands *o, uint32_t rows, uint32_t from, uint32_t to) {
    const uint32_t outputs = o->view[3].of->dims[0], inputs = o->view[3].of->dims[1];
    const float *x = o->view[0].data + from, *dy = o->view[1].data;
    for (uint32_t r = 0; r < rows; r++, x += inputs, dy += outputs) {
        float *dw = o->view[3].data + from;
        uint32_t m = 0;
        for (; m + 2 <= outputs; m += 2, dw += 2 * inputs) add_row(x, to - from, dy[m], dw, true, dy[m + 1], dw + inputs);
        if (m < outputs) add_row(x, to - from, dy[m], dw, false, 0.0f, dw);
    }
}

/* dx[r][n] = sum over m, ascending, of dy[r][m] * w[m][n]; eight inputs at a time in registers. */
static __attribute__((noinline)) void input_stretch(const bt_operands *o, uint32_t rows, uint32_t from, uint32_t to) {
    const uint32_t outputs = o->view[2].of->dims[0], inputs = o->view[2].of->dims[1];
    const float *dy = o->view[1].data;
    float *dx = o->view[5].data;
    for (uint32_t r = 0; r < rows; r++, dx += inputs, dy += outputs) {
        const float *const last = dy + outputs;
        uint32_t n = from;
        for (; n + 8 <= to; n += 8) {
            const float *w = o->view[2].data + n, *d = dy;
            float s[8];
            BT_EIGHT for (int i = 0; i < 8; i++) s[i] = fmaf(*d, w[i], 0.0f);
            for (d++, w += inputs; d != last; d++, w += inputs)
                BT_EIGHT for (int i = 0; i < 8; i++) s[i] = fmaf(*d, w[i], s[i]);
            BT_EIGHT for (int i = 0; i < 8; i++) dx[n + (uint32_t)i] = s[i];
        }
        for (; n < to; n++) {
            float sum = 0.0f;
            for (uint32_t m = 0; m < outputs; m++) sum = fmaf(dy[m], o->view[2].data[m * inputs + n], sum);
            dx[n] = sum;
        }
    }
}

/* dbias[m] += dy[r][m], rows ascending. */
static void bias_gradient(const bt_operands *o) {
    const uint32_t outputs = o->view[4].of->count, all = outputs ? o->view[1].of->count : 0;
    for (uint32_t i = 0; i < all; i++) o->view[4].data[i % outputs] += o->view[1].data[i];
}

/* A piece is a stretch of inputs; the first has the bias as well. dx may lie where x does: x is read first. */
static void backward_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const bt_view *w = o->view[3].of->rank ? o->view[3].of : o->view[2].of;
    const uint32_t rows = w->rank ? o->view[1].of->count / w->dims[0] : 0;
    const uint32_t from = bt_stretch_begin(w->dims[1], index), to = bt_stretch_end(w->dims[1], index);
    if (o->view[3].of->rank) weight_stretch(o, rows, from, to);
    if (o->view[5].of->rank) input_stretch(o, rows, from, to);
    if (!index) bias_gradient(o);
}

BT_RUN(linear_backward) {
    const bt_view *w = o->view[3].of->rank ? o->view[3].of : o->view[2].of;
#ifdef BT_SIXTEEN
    if (o->view[3].of->rank && is_sixteen(&o->view[0], &o->view[3])) {
        weight_gradient_sixteen(o);
        if (o->view[5].of->rank) input_stretch(o, 1, 0, SIXTEEN);
        return;
    }
#endif
    bt_stretches(o->run->port, backward_piece, o, w->dims[1]);
}
