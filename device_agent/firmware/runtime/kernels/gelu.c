/* Gaussian error linear unit. Immediate 0: y = x Phi(x) = x (1 + erf(x / sqrt 2)) / 2;
 * immediate 1: y = x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3). In place or not. */
#include "kernel.h"

#define SQRT_HALF 0.707106781f
#define SQRT_2_OVER_PI 0.797884561f
#define INVERSE_SQRT_2_PI 0.398942280f
#define CUBE 0.044715f

BT_CHECK(gelu_forward) { return bt_elementwise(o, 2) && o->immediate[0] < 2; }

BT_RUN(gelu_forward) {
    const float *x = o->view[0].data;
    float *y = o->view[1].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) {
        const float v = x[i];
        const float part = o->immediate[0] ? bt_tanhf(SQRT_2_OVER_PI * fmaf(CUBE * v * v, v, v)) : bt_erff(SQRT_HALF * v);
        y[i] = 0.5f * v * (1.0f + part);
    }
}

BT_CHECK(gelu_backward) { return bt_elementwise(o, 3) && o->immediate[0] < 2; }

/* exact: dx = dy (Phi(x) + x phi(x)); tanh: dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2), u' = sqrt(2/pi) (1 + 3c x^2) */
BT_RUN(gelu_backward) {
    const float *dy = o->view[0].data, *x = o->view[1].data;
    float *dx = o->view[2].data;
    for (uint32_t i = 0; i < o->view[0].of->count; i++) {
        const float v = x[i];
        float slope;
        if (o->immediate[0]) {
            const float t = bt_tanhf(SQRT_2_OVER_PI * fmaf(CUBE * v * v, v, v));
            const float inner = SQRT_2_OVER_PI * fmaf(3.0f * CUBE * v, v, 1.0f);
            slope = fmaf(0.5f * v * fmaf(-t, t, 1.0f), inner, 0.5f * (1.0f + t));
        } else {
            slope = fmaf(v, INVERSE_SQRT_2_PI * bt_expf(-0.5f * v * v), 0.5f * (1.0f + bt_erff(SQRT_HALF * v)));
        }
        dx[i] = dy[i] * slope;
    }
}
