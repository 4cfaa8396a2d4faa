/* g = gradient / windows + decay * w;  m = momentum * m + g;  w -= rate * m, with Nesterov's momentum
 * w -= rate * (g + momentum * m)  (torch.optim.SGD). */
#include "kernel.h"

BT_CHECK(sgd) {
    return o->view[0].of->rank && o->view[0].of->count == o->view[1].of->count && o->view[0].of->count == o->view[2].of->count;
}

static void update_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    float *w = o->view[0].data, *m = o->view[2].data;
    const float *gradient = o->view[1].data, scale = o->run->gradient_scale;
    const bt_optimizer s = o->run->optimizer;
    const uint32_t count = o->view[0].of->count, to = bt_stretch_end(count, index);
    for (uint32_t i = bt_stretch_begin(count, index); i < to; i++) {
        const float g = fmaf(s.weight_decay, w[i], gradient[i] * scale), velocity = fmaf(s.momentum, m[i], g);
        m[i] = velocity;
        w[i] = fmaf(-s.learning_rate, s.nesterov ? fmaf(s.momentum, velocity, g) : velocity, w[i]);
    }
}

BT_RUN(sgd) { bt_stretches(o->run->port, update_piece, o, o->view[0].of->count); }
