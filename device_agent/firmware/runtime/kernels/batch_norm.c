/* Exact batch norm over the windows of a batch: x [B][C][n], statistics [C][mean, 1/deviation, variance].
 * Sums run over each window's channel in eight lanes, then over the windows in order; two sweeps, so that offsets do not
 * cancel digits. */
#include "norm_rows.h"

static bool fits(const bt_operands *o, const bt_tensor *x, uint32_t statistics, uint32_t from, uint32_t to) {
    if (x->of->rank != 3 || o->view[statistics].of->count != 3 * x->of->dims[1] || x->of->dims[0] * x->of->dims[2] < 2) return false;
    for (uint32_t v = from; v < to; v++)
        if (!bt_shape_is(&o->view[v], 1, x->of->dims[1], 0, 0, 0)) return false;
    return true;
}

BT_CHECK(batch_norm_forward) {
    return fits(o, &o->view[0], 3, 1, 3) && bt_same_shape(&o->view[0], &o->view[4]) &&
           bt_float_bits(o->immediate[0]) > 0.0f;
}

/* y = (x - mean) * (gamma / deviation) + beta; in place or not */
BT_RUN(batch_norm_forward) {
    const bt_tensor *x = &o->view[0];
    const uint32_t windows = x->of->dims[0], channels = x->of->dims[1], n = x->of->dims[2];
    for (uint32_t c = 0; c < channels; c++) {
        float *statistics = o->view[3].data + 3 * c, sum = 0.0f, squares = 0.0f;
        for (uint32_t b = 0; b < windows; b++) sum += bt_row_sum(x->data + (b * channels + c) * n, n);
        const float mean = sum / (float)(windows * n);
        for (uint32_t b = 0; b < windows; b++) {
            const float *row = x->data + (b * channels + c) * n;
            squares += bt_centred_product(row, mean, row, mean, n);
        }
        const float variance = squares / (float)(windows * n);
        const float inverse = 1.0f / sqrtf(variance + bt_float_bits(o->immediate[0]));
        const float gain = o->view[1].data[c] * inverse, beta = o->view[2].data[c];
        statistics[0] = mean;
        statistics[1] = inverse;
        statistics[2] = variance;
        for (uint32_t b = 0; b < windows; b++)
            for (uint32_t i = (b * channels + c) * n; i < (b * channels + c + 1) * n; i++)
                o->view[4].data[i] = fmaf(x->data[i] - mean, gain, beta);
    }
}

BT_CHECK(batch_norm_backward) {
    return fits(o, &o->view[1], 2, 3, 4) && fits(o, &o->view[1], 2, 5, 7) && bt_same_shape(&o->view[0], &o->view[1]) &&
           bt_same_shape(&o->view[0], &o->view[4]);
}

/* With x̂ = (x - mean) / deviation: dx = gamma / deviation * (dy - mean(dy) - x̂ mean(dy x̂)),
 * dgamma += sum dy x̂, dbeta += sum dy. dx may be dy. */
BT_RUN(batch_norm_backward) {
    const bt_tensor *dy = &o->view[0], *x = &o->view[1];
    const uint32_t windows = x->of->dims[0], channels = x->of->dims[1], n = x->of->dims[2];
    for (uint32_t c = 0; c < channels; c++) {
        const float mean = o->view[2].data[3 * c], inverse = o->view[2].data[3 * c + 1];
        float plain = 0.0f, dot = 0.0f;
        for (uint32_t b = 0; b < windows; b++) {
            const uint32_t at = (b * channels + c) * n;
            plain += bt_row_sum(dy->data + at, n);
            dot += bt_centred_product(dy->data + at, 0.0f, x->data + at, mean, n);
        }
        dot *= inverse;
        o->view[5].data[c] += dot;
        o->view[6].data[c] += plain;
        const float count = (float)(windows * n), gain = o->view[3].data[c] * inverse;
        const float mean_dy = plain / count, slope = dot / count * inverse;
        for (uint32_t b = 0; b < windows; b++)
            for (uint32_t i = (b * channels + c) * n; i < (b * channels + c + 1) * n; i++)
                o->view[4].data[i] = fmaf(mean - x->data[i], slope, dy->data[i] - mean_dy) * gain;
    }
}

BT_CHECK(batch_norm_track) {
    const uint32_t channels = o->view[1].of->count;
    const float momentum = bt_float_bits(o->immediate[1]);
    return o->view[0].of->count == 3 * channels && bt_shape_is(&o->view[1], 1, channels, 0, 0, 0) &&
           bt_shape_is(&o->view[2], 1, channels, 0, 0, 0) && o->immediate[0] > 1 && momentum >= 0.0f && momentum <= 1.0f;
}

/* running = (1 - momentum) running + momentum * statistic; the variance unbiased: times count / (count - 1) */
BT_RUN(batch_norm_track) {
    const float count = (float)o->immediate[0], momentum = bt_float_bits(o->immediate[1]);
    const float unbiased = count / (count - 1.0f);
    for (uint32_t c = 0; c < o->view[1].of->count; c++) {
        float *mean = o->view[1].data + c, *variance = o->view[2].data + c;
        *mean = fmaf(momentum, o->view[0].data[3 * c], (1.0f - momentum) * *mean);
        *variance = fmaf(momentum, o->view[0].data[3 * c + 2] * unbiased, (1.0f - momentum) * *variance);
    }
}
