/* The weight gradient of a convolution in front of a group norm, without the gradient of its output.
 * The norm's backward pass makes it da = (gamma dy - m - x̂ q) / deviation with two scalars of a group that are known only
 * when all channels have been seen. The weight gradient is linear in da, so it follows from three sums over output
 * positions t: P = sum dy x_k, of each channel; s = sum x_k; and sum x̂ x_k, which follows from the weights and from
 * C = sum (x_j - mean x_j)(x_k - mean x_k), since x̂ is linear in the taps x_k that an output is made of. */
#include "norm_rows.h"
#include "vector.h"

typedef struct taps {
    int32_t channels, h, w, kh, kw, ho, wo, stride_h, stride_w, top, left, dilation_h, dilation_w;
} taps;

/* Immediates: those of a convolution with one group, then kernel rows and columns. */
static bool read_taps(const bt_operands *o, taps *t) {
    const uint32_t *m = o->immediate;
    const bt_tensor *x = &o->view[0];
    if (x->of->rank != 3 || m[8] != 1) return false;
    for (uint32_t i = 0; i < 11; i++)
        if (m[i] > 1u << 16 || (m[i] == 0 && (i < 2 || i > 5))) return false;
    const int64_t span_h = (int64_t)x->of->dims[1] + m[2] + m[3] - (int64_t)m[6] * (m[9] - 1) - 1;
    const int64_t span_w = (int64_t)x->of->dims[2] + m[4] + m[5] - (int64_t)m[7] * (m[10] - 1) - 1;
    if (span_h < 0 || span_w < 0 || span_h > INT32_MAX || span_w > INT32_MAX) return false;
    *t = (taps){.channels = (int32_t)x->of->dims[0], .h = (int32_t)x->of->dims[1], .w = (int32_t)x->of->dims[2],
                .kh = (int32_t)m[9], .kw = (int32_t)m[10], .ho = (int32_t)((uint32_t)span_h / m[0]) + 1,
                .wo = (int32_t)((uint32_t)span_w / m[1]) + 1, .stride_h = (int32_t)m[0], .stride_w = (int32_t)m[1],
                .top = (int32_t)m[2], .left = (int32_t)m[4], .dilation_h = (int32_t)m[6], .dilation_w = (int32_t)m[7]};
    return true;
}

BT_CHECK(tap_covariance) {
    taps t = {0};
    if (!read_taps(o, &t)) return false;
    const uint64_t count = (uint64_t)t.channels * (uint64_t)t.kh * (uint64_t)t.kw;
    return count <= 1024 && bt_shape_is(&o->view[1], 1, (uint32_t)count, 0, 0, 0) &&
           bt_shape_is(&o->view[2], 2, (uint32_t)count, (uint32_t)count, 0, 0);
}

/* The input row of tap k for an output row, NULL in the padding; value i of it is [i * stride + shift]. */
static __attribute__((noinline)) const float *tap_row(const bt_operands *o, const taps *t, int32_t k, int32_t row, int32_t *shift) {
    const int32_t column = k % t->kw, kernel_row = k / t->kw % t->kh, channel = k / t->kw / t->kh;
    const int32_t from = row * t->stride_h + kernel_row * t->dilation_h - t->top;
    *shift = column * t->dilation_w - t->left;
    return from < 0 || from >= t->h ? NULL : o->view[0].data + (channel * t->h + from) * t->w;
}

static inline float tap_value(const float *row, const taps *t, int32_t shift, int32_t i) {
    const int32_t at = i * t->stride_w + shift;
    return row && at >= 0 && at < t->w ? row[at] : 0.0f;
}

static __attribute__((noinline, cold)) float sum_of_row(const float *x, const taps *t, int32_t shift) {
    float lane[BT_LANES] = {0};
    for (int32_t i = 0; i < t->wo; i++) lane[i % BT_LANES] += tap_value(x, t, shift, i);
    return bt_fold_lanes(lane);
}

/* Eight lanes over the outputs of a row; the rows in order. */
static void sum_tap(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    taps t = {0};
    read_taps(o, &t);
    float sum = 0.0f;
    for (int32_t row = 0; row < t.ho; row++) {
        int32_t shift;
        const float *x = tap_row(o, &t, (int32_t)index, row, &shift);
        if (x && t.stride_w == 1 && shift >= 0 && t.wo + shift <= t.w) sum += bt_row_sum(x + shift, (uint32_t)t.wo);
        else sum += sum_of_row(x, &t, shift);
    }
    o->view[1].data[index] = sum;
}

/* Of two rows of taps, some of whose values lie in the padding or are strides apart. */
static __attribute__((noinline, cold)) float covariance_of_rows(const taps *t, const float *a, int32_t shift_a, float mean_a,
                                                                const float *b, int32_t shift_b, float mean_b) {
    float lane[BT_LANES] = {0};
    for (int32_t i = 0; i < t->wo; i++)
        lane[i % BT_LANES] =
            fmaf(tap_value(a, t, shift_a, i) - mean_a, tap_value(b, t, shift_b, i) - mean_b, lane[i % BT_LANES]);
    return bt_fold_lanes(lane);
}

static float covariance(const bt_operands *o, const taps *t, int32_t j, int32_t k, float mean_j, float mean_k) {
    float sum = 0.0f;
    for (int32_t row = 0; row < t->ho; row++) {
        int32_t shift_j, shift_k;
        const float *a = tap_row(o, t, j, row, &shift_j), *b = tap_row(o, t, k, row, &shift_k);
        const bool inside = a && b && t->stride_w == 1 && shift_j >= 0 && shift_k >= 0 && t->wo + shift_j <= t->w &&
                            t->wo + shift_k <= t->w;
        sum += inside ? bt_centred_product(a + shift_j, mean_j, b + shift_k, mean_k, (uint32_t)t->wo)
                      : covariance_of_rows(t, a, shift_j, mean_j, b, shift_k, mean_k);
    }
    return sum;
}

/* Pair number `index` of taps j >= k. */
static void covariance_pair(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    taps t = {0};
    read_taps(o, &t);
    const uint32_t count = o->view[1].of->count;
    const float positions = (float)(t.ho * t.wo), *sums = o->view[1].data;
    uint32_t j = 0, k = index;
    while (k > j) k -= ++j;
    const float c = covariance(o, &t, (int32_t)j, (int32_t)k, sums[j] / positions, sums[k] / positions);
    o->view[2].data[j * count + k] = o->view[2].data[k * count + j] = c;
}

#ifdef BT_VECTOR
static bool all_inside(const bt_operands *o) {
    const uint32_t *m = o->immediate;
    return m[1] == 1 && !(m[2] | m[3] | m[4] | m[5]);
}

/* Of taps k..k + 3. */
static void four_tap_sums(const bt_operands *o, uint32_t k) {
    taps t = {0};
    read_taps(o, &t);
    const uint32_t count = o->view[1].of->count;
    float total[BT_FOUR] = {0};
    for (int32_t row = 0; row < t.ho; row++) {
        const float *x[BT_FOUR];
        float sum[BT_FOUR];
        int32_t shift;
        for (uint32_t r = 0; r < BT_FOUR; r++)
            x[r] = tap_row(o, &t, (int32_t)(k + r < count ? k + r : k), row, &shift), x[r] += shift;
        bt_four_sums(x, (uint32_t)t.wo, sum);
        for (uint32_t r = 0; r < BT_FOUR; r++) total[r] += sum[r];
    }
    for (uint32_t r = 0; r < BT_FOUR && k + r < count; r++) o->view[1].data[k + r] = total[r];
}

/* Of tap j with taps k..k + 3, as far as they are no later than j; no tap lies beside the map. */
static void four_covariances(const bt_operands *o, uint32_t j, uint32_t k) {
    taps t = {0};
    read_taps(o, &t);
    const float *sums = o->view[1].data;
    const float positions = (float)(t.ho * t.wo);
    const uint32_t count = o->view[1].of->count;
    float mean_j[BT_FOUR], mean_k[BT_FOUR], total[BT_FOUR] = {0};
    for (uint32_t r = 0; r < BT_FOUR; r++)
        mean_j[r] = sums[j] / positions, mean_k[r] = sums[k + r <= j ? k + r : k] / positions;
    for (int32_t row = 0; row < t.ho; row++) {
        const float *a[BT_FOUR], *b[BT_FOUR];
        float sum[BT_FOUR];
        int32_t shift;
        for (uint32_t r = 0; r < BT_FOUR; r++) {
            a[r] = tap_row(o, &t, (int32_t)j, row, &shift), a[r] += shift;
            b[r] = tap_row(o, &t, (int32_t)(k + r <= j ? k + r : k), row, &shift), b[r] += shift;
        }
        bt_four_products(a, mean_j, b, mean_k, (uint32_t)t.wo, sum);
        for (uint32_t r = 0; r < BT_FOUR; r++) total[r] += sum[r];
    }
    for (uint32_t r = 0; r < BT_FOUR && k + r <= j; r++)
        o->view[2].data[j * count + k + r] = o->view[2].data[(k + r) * count + j] = total[r];
}
#endif

/* x [Cin][H][W] -> sums [taps], covariance [taps][taps]; taps = Cin * KH * KW. Centred before it is squared. */
BT_RUN(tap_covariance) {
    const uint32_t count = o->view[1].of->count;
#ifdef BT_VECTOR
    if (all_inside(o)) {
        for (uint32_t k = 0; k < count; k += BT_FOUR) four_tap_sums(o, k);
        for (uint32_t j = 0; j < count; j++)
            for (uint32_t k = 0; k <= j; k += BT_FOUR) four_covariances(o, j, k);
        return;
    }
#endif
    bt_port_parallel(o->run->port, sum_tap, (void *)(uintptr_t)o, count);
    bt_port_parallel(o->run->port, covariance_pair, (void *)(uintptr_t)o, count * (count + 1) / 2);
}

BT_CHECK(normed_weight_gradient) {
    const bt_tensor *p = &o->view[0], *sums = &o->view[2], *gamma = &o->view[6];
    const uint32_t channels = p->of->rank ? p->of->dims[0] : 0, n = channels ? p->of->count / channels : 0;
    if (!channels || !bt_same_shape(p, &o->view[1]) || !bt_same_shape(p, &o->view[7])) return false;
    if (!bt_shape_is(sums, 1, n, 0, 0, 0) || !bt_shape_is(&o->view[3], 2, n, n, 0, 0)) return false;
    for (uint32_t v = 4; v < 6; v++)
        if (!bt_shape_is(&o->view[v], 2, channels, 2, 0, 0)) return false;
    return bt_shape_is(gamma, 1, channels, 0, 0, 0) && o->immediate[0] > 0;
}

static void gradient_channel(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[2].of->count;
    const float *p = o->view[0].data + c * n, *weight = o->view[1].data + c * n, *sums = o->view[2].data;
    const float *means = o->view[5].data + 2 * c;
    const float mean = o->view[4].data[2 * c], inverse = o->view[4].data[2 * c + 1], gamma = o->view[6].data[c];
    const float own_mean = bt_centred_product(weight, 0.0f, sums, 0.0f, n) / (float)o->immediate[0];
    float *dw = o->view[7].data + c * n;
    for (uint32_t k = 0; k < n; k++) {
        const float along = fmaf(own_mean - mean, sums[k], bt_centred_product(weight, 0.0f, o->view[3].data + k * n, 0.0f, n));
        const float centred = fmaf(gamma, p[k], -means[0] * sums[k]);
        dw[k] = fmaf(fmaf(-means[1], along, centred), inverse, dw[k]);
    }
}

/* P [C][...], weight [C][...], s [taps], covariance, statistics [C][mean, 1/deviation], means [C][mean(g), mean(g x̂) /
 * deviation], gamma [C] -> dweight [C][...], added to. Immediate: output positions of a channel. */
BT_RUN(normed_weight_gradient) {
    bt_port_parallel(o->run->port, gradient_channel, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
}

BT_CHECK(tap_norm_sums) {
    const bt_tensor *p = &o->view[0];
    const uint32_t channels = p->of->rank ? p->of->dims[0] : 0;
    return channels && bt_shape_is(&o->view[1], 1, channels, 0, 0, 0) && bt_same_shape(p, &o->view[2]) &&
           bt_shape_is(&o->view[3], 2, channels, 2, 0, 0) && bt_shape_is(&o->view[4], 2, channels, 2, 0, 0);
}

/* P [C][...] sums of dy x_k, sums of dy [C], weight [C][...], statistics [C][mean, 1/deviation] -> sums [C][sum dy,
 * sum dy x̂], since a value x in front of the norm is the sum of weight x_k. */
BT_RUN(tap_norm_sums) {
    const uint32_t channels = o->view[0].of->dims[0], n = o->view[0].of->count / channels;
    const float *p = o->view[0].data, *weight = o->view[2].data, *statistics = o->view[3].data;
    for (uint32_t c = 0; c < channels; c++, p += n, weight += n, statistics += 2) {
        const float plain = o->view[1].data[c];
        o->view[4].data[2 * c] = plain;
        o->view[4].data[2 * c + 1] = fmaf(-statistics[0], plain, bt_centred_product(weight, 0.0f, p, 0.0f, n)) * statistics[1];
    }
}
