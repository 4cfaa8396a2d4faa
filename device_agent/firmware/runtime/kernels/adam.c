/* Adam (Kingma and Ba, 2015), and with immediate 1 AdamW (Loshchilov and Hutter, 2019), as torch.optim has them:
 *   g = gradient / windows (Adam: + decay * w);  AdamW: w *= 1 - rate * decay
 *   m += (1 - beta 1)(g - m);  v = beta 2 * v + (1 - beta 2) g^2
 *   w -= rate / (1 - beta 1^t) * m / (sqrt(v) / sqrt(1 - beta 2^t) + epsilon) */
#include "kernel.h"

BT_CHECK(adam) {
    for (uint32_t v = 0; v < 4; v++)
        if (!o->view[v].of->rank || o->view[v].of->count != o->view[0].of->count) return false;
    return o->immediate[0] < 2;
}

BT_RUN(adam) {
    float *w = o->view[0].data, *m = o->view[2].data, *v = o->view[3].data;
    const float *gradient = o->view[1].data, scale = o->run->gradient_scale;
    const bt_optimizer *s = &o->run->optimizer;
    const bool decoupled = o->immediate[0];
    const float keep = decoupled ? 1.0f - s->learning_rate * s->weight_decay : 1.0f;
    const float decay = decoupled ? 0.0f : s->weight_decay;
    const float rate = s->learning_rate / o->run->adam_1, deviation = 1.0f / sqrtf(o->run->adam_2);
    for (uint32_t i = 0; i < o->view[0].of->count; i++) {
        const float g = fmaf(decay, w[i], gradient[i] * scale);
        m[i] = fmaf(1.0f - s->beta_1, g - m[i], m[i]);
        v[i] = fmaf((1.0f - s->beta_2) * g, g, s->beta_2 * v[i]);
        w[i] = fmaf(-rate, m[i] / fmaf(sqrtf(v[i]), deviation, s->epsilon), w[i] * keep);
    }
}
