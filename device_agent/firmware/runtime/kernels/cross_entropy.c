/* Softmax cross-entropy of one window: loss = log sum exp(l - max) - (l[label] - max); dlogits = p - onehot. */
#include "kernel.h"

BT_CHECK(cross_entropy) {
    return o->view[0].of->rank && o->view[0].of->count <= BT_MAX_CLASSES && o->view[1].of->count == 1 &&
           o->view[2].of->count == o->view[0].of->count;
}

BT_RUN(cross_entropy) {
    const float *logits = o->view[0].data;
    float *gradient = o->view[2].data;
    const uint32_t n = o->view[0].of->count, label = o->run->label;
    float top = logits[0], sum = 0.0f;
    for (uint32_t c = 1; c < n; c++)
        if (logits[c] > top) top = logits[c];
    const float own = logits[label] - top;
    float e[BT_MAX_CLASSES];
    for (uint32_t c = 0; c < n; c++) {
        e[c] = bt_expf(logits[c] - top);
        sum += e[c];
    }
    for (uint32_t c = 0; c < n; c++) gradient[c] = e[c] / sum - (c == label ? 1.0f : 0.0f);
    /* a NaN in any logit reaches the sum, and so the loss, where the engine looks for it */
    o->view[1].data[0] = bt_logf(sum) - own + 0.0f * sum;
}
