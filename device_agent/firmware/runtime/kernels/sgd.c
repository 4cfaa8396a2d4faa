/* g = gradient / windows + decay * w;  m = momentum * m + g;  w -= rate * m, with Nesterov's momentum
 * w -= rate * (g + momentum * m)  (torch.optim.SGD). */
#include "kernel.h"

BT_CHECK(sgd) {
    return o->view[0].rank && o->view[0].count == o->view[1].count && o->view[0].count == o->view[2].count;
}

BT_RUN(sgd) {
    float *w = o->view[0].data, *m = o->view[2].data;
    const float *gradient = o->view[1].data, scale = o->run->gradient_scale;
    const bt_optimizer *s = &o->run->optimizer;
    for (uint32_t i = 0; i < o->view[0].count; i++) {
        const float g = fmaf(s->weight_decay, w[i], gradient[i] * scale);
        m[i] = fmaf(s->momentum, m[i], g);
        w[i] = fmaf(-s->learning_rate, s->nesterov ? fmaf(s->momentum, m[i], g) : m[i], w[i]);
    }
}
