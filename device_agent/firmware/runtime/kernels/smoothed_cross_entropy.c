/* Softmax cross-entropy with label smoothing e and class weights w (all 1 where they are left out), C classes:
 *   loss[0] = -(1 - e) w[label] log p[label] - e / C * sum w[c] log p[c];  loss[1] = w[label], the window's part of the
 *   batch: gradients are divided by the sum of these, as torch's weighted mean is
 *   dlogits[j] = (1 - e) w[label] (p[j] - [j = label]) + e / C * (p[j] sum w[c] - w[j])
 * Sums run over the classes in order. Immediate: e. */
#include "kernel.h"

BT_CHECK(smoothed_cross_entropy) {
    const bt_tensor *logits = &o->view[0], *weights = &o->view[1];
    const float smoothing = bt_float_bits(o->immediate[0]);
    return logits->of->rank && logits->of->count <= BT_MAX_CLASSES && o->view[2].of->count == 2 &&
           o->view[3].of->count == logits->of->count && (!weights->of->rank || weights->of->count == logits->of->count) &&
           smoothing >= 0.0f && smoothing <= 1.0f;
}

static float class_weight(const bt_operands *o, uint32_t c) { return o->view[1].of->rank ? o->view[1].data[c] : 1.0f; }

BT_RUN(smoothed_cross_entropy) {
    const float *logits = o->view[0].data, smoothing = bt_float_bits(o->immediate[0]);
    const uint32_t n = o->view[0].of->count, label = o->run->label;
    float top = logits[0], sum = 0.0f, all = 0.0f, spread = 0.0f, e[BT_MAX_CLASSES];
    for (uint32_t c = 1; c < n; c++)
        if (logits[c] > top) top = logits[c];
    for (uint32_t c = 0; c < n; c++) {
        e[c] = bt_expf(logits[c] - top);
        sum += e[c];
        all += class_weight(o, c);
    }
    const float own = (1.0f - smoothing) * class_weight(o, label), share = smoothing / (float)n, log_sum = bt_logf(sum);
    for (uint32_t c = 0; c < n; c++) {
        const float p = e[c] / sum, w = class_weight(o, c);
        spread = fmaf(w, log_sum - (logits[c] - top), spread);
        o->view[3].data[c] = fmaf(own, p - (c == label ? 1.0f : 0.0f), share * fmaf(p, all, -w));
    }
    /* a NaN in any logit reaches the sum, and so the loss, where the engine looks for it */
    o->view[2].data[0] = fmaf(own, log_sum - (logits[label] - top), share * spread) + 0.0f * sum;
    o->view[2].data[1] = class_weight(o, label);
}
