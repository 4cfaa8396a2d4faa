/* Group norm in sweeps, for a tensor whose channels come and go in a loop. B is the channels at hand, C all of them.
 * In kernels/group_norm.c the same functions run over a whole tensor: the bits are the same. */
#include "norm_rows.h"
#include "vector.h"

/* x [B][...] and `v`, B pairs. */
static bool pairs(const bt_operands *o, uint32_t v, uint32_t channels) {
    return bt_shape_is(&o->view[v], 2, channels, 2, 0, 0);
}

static bool is_row(const bt_operands *o, uint32_t v, uint32_t channels) {
    return bt_shape_is(&o->view[v], 1, channels, 0, 0, 0);
}

#ifdef BT_VECTOR
/* Four channels from c on; where fewer are left, the first of them stands in for the others. */
static void four_rows(const float *data, uint32_t n, uint32_t c, uint32_t channels, const float *rows[BT_FOUR]) {
    for (uint32_t r = 0; r < BT_FOUR; r++) rows[r] = data + (c + r < channels ? c + r : c) * n;
}
#endif

BT_CHECK(norm_row_statistics) { return o->view[0].of->rank && pairs(o, 1, o->view[0].of->dims[0]); }

static void row_statistics(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->count / o->view[0].of->dims[0];
    bt_row_statistics(o->view[0].data + c * n, n, o->view[1].data + 2 * c);
}

/* rows [B][mean, sum of squares about it] */
BT_RUN(norm_row_statistics) {
    const uint32_t channels = o->view[0].of->dims[0], n = o->view[0].of->count / channels;
    if (bt_few_rows(channels, n)) {
        const float *x = o->view[0].data;
        float *rows = o->view[1].data;
        bt_shared_sums(o->run->port, x, channels, n, rows);
        for (uint32_t c = 0; c < channels; c++) rows[2 * c] /= (float)n;
        bt_shared_squares(o->run->port, x, rows, channels, n, rows + 1);
        return;
    }
#ifdef BT_VECTOR
    for (uint32_t c = 0; c < channels; c += BT_FOUR) {
        const float *x[BT_FOUR];
        float mean[BT_FOUR], squares[BT_FOUR];
        four_rows(o->view[0].data, n, c, channels, x);
        bt_four_sums(x, n, mean);
        for (uint32_t r = 0; r < BT_FOUR; r++) mean[r] /= (float)n;
        bt_four_products(x, mean, x, mean, n, squares);
        for (uint32_t r = 0; r < BT_FOUR && c + r < channels; r++)
            o->view[1].data[2 * (c + r)] = mean[r], o->view[1].data[2 * (c + r) + 1] = squares[r];
    }
    (void)row_statistics;
#else
    bt_port_parallel(o->run->port, row_statistics, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
#endif
}

static bool finish_fits(const bt_operands *o, uint32_t channels) {
    const uint32_t groups = o->immediate[0], n = o->immediate[1];
    return groups && channels % groups == 0 && n && n <= (1u << 26) / channels;
}

BT_CHECK(group_norm_finish) {
    const uint32_t channels = o->view[0].of->rank ? o->view[0].of->dims[0] : 0;
    return channels && pairs(o, 0, channels) && pairs(o, 1, channels) && finish_fits(o, channels) &&
           bt_float_bits(o->immediate[2]) > 0.0f;
}

/* rows [C][mean, squares] -> statistics [C][mean, 1/deviation], the same for all channels of a group; in place or not.
 * Immediates: groups, values of a channel, eps. */
BT_RUN(group_norm_finish) {
    const uint32_t groups = o->immediate[0], n = o->immediate[1], channels = o->view[0].of->dims[0] / groups;
    for (uint32_t g = 0; g < groups; g++) {
        const float *row = o->view[0].data + 2 * g * channels;
        float all[2] = {0}, *out = o->view[1].data + 2 * g * channels;
        for (uint32_t k = 0; k < channels; k++) bt_join_statistics(all, row + 2 * k, k, n);
        const float inverse = bt_inverse_deviation(all[1], (float)(channels * n), bt_float_bits(o->immediate[2]));
        for (uint32_t k = 0; k < channels; k++) {
            out[2 * k] = all[0];
            out[2 * k + 1] = inverse;
        }
    }
}

BT_CHECK(norm_apply) {
    const bt_tensor *x = &o->view[0];
    const uint32_t channels = x->of->rank ? x->of->dims[0] : 0;
    return channels && pairs(o, 1, channels) && is_row(o, 2, channels) && is_row(o, 3, channels) &&
           bt_same_shape(x, &o->view[4]);
}

static void apply(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->count / o->view[0].of->dims[0], pieces = bt_row_pieces(o->view[0].of->dims[0], n);
    const uint32_t c = index / pieces, from = pieces > 1 ? bt_stretch_begin(n, index % pieces) : 0;
    const uint32_t to = pieces > 1 ? bt_stretch_end(n, index % pieces) : n;
    const float *statistics = o->view[1].data + 2 * c;
    bt_norm_row(o->view[0].data + c * n + from, o->view[4].data + c * n + from, to - from, statistics[0],
                o->view[2].data[c] * statistics[1], o->view[3].data[c]);
}

/* Channels, or stretches of them where there are few. */
static void for_rows(const bt_operands *o, bt_piece piece) {
    const uint32_t channels = o->view[0].of->dims[0], n = o->view[0].of->count / channels;
    bt_port_parallel(o->run->port, piece, (void *)(uintptr_t)o, channels * bt_row_pieces(channels, n));
}

/* y = (x - mean) * (gamma / deviation) + beta */
BT_RUN(norm_apply) { for_rows(o, apply); }

BT_CHECK(norm_backward_sums) {
    const bt_tensor *x = &o->view[1];
    const uint32_t channels = x->of->rank ? x->of->dims[0] : 0;
    return channels && bt_same_shape(x, &o->view[0]) && pairs(o, 2, channels) && pairs(o, 3, channels);
}

static void backward_sums(void *arg, uint32_t c) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->count / o->view[0].of->dims[0];
    const float *dy = o->view[0].data + c * n, *statistics = o->view[2].data + 2 * c;
    float *out = o->view[3].data + 2 * c;
    out[0] = bt_row_sum(dy, n);
    out[1] = bt_centred_product(dy, 0.0f, o->view[1].data + c * n, statistics[0], n) * statistics[1];
}

/* sums [B][sum dy, sum dy x̂] */
BT_RUN(norm_backward_sums) {
    const uint32_t channels = o->view[0].of->dims[0], n = o->view[0].of->count / channels;
    if (bt_few_rows(channels, n)) {
        const float *dy = o->view[0].data, *statistics = o->view[2].data;
        float *sums = o->view[3].data;
        bt_shared_sums(o->run->port, dy, channels, n, sums);
        bt_shared_products(o->run->port, dy, o->view[1].data, statistics, channels, n, sums + 1);
        for (uint32_t c = 0; c < channels; c++) sums[2 * c + 1] *= statistics[2 * c + 1];
        return;
    }
#ifdef BT_VECTOR
    for (uint32_t c = 0; c < channels; c += BT_FOUR) {
        const float none[BT_FOUR] = {0}, *dy[BT_FOUR], *x[BT_FOUR];
        float mean[BT_FOUR], plain[BT_FOUR], dot[BT_FOUR];
        four_rows(o->view[0].data, n, c, channels, dy);
        four_rows(o->view[1].data, n, c, channels, x);
        for (uint32_t r = 0; r < BT_FOUR; r++) mean[r] = o->view[2].data[2 * (c + r < channels ? c + r : c)];
        bt_four_sums(dy, n, plain);
        bt_four_products(dy, none, x, mean, n, dot);
        for (uint32_t r = 0; r < BT_FOUR && c + r < channels; r++) {
            o->view[3].data[2 * (c + r)] = plain[r];
            o->view[3].data[2 * (c + r) + 1] = dot[r] * o->view[2].data[2 * (c + r) + 1];
        }
    }
    (void)backward_sums;
#else
    bt_port_parallel(o->run->port, backward_sums, (void *)(uintptr_t)o, o->view[0].of->dims[0]);
#endif
}

BT_CHECK(group_norm_backward_finish) {
    const uint32_t channels = o->view[0].of->rank ? o->view[0].of->dims[0] : 0;
    return channels && pairs(o, 0, channels) && pairs(o, 1, channels) && is_row(o, 2, channels) &&
           pairs(o, 3, channels) && is_row(o, 4, channels) && is_row(o, 5, channels) && finish_fits(o, channels);
}

/* sums and statistics [C][2] -> means [C][mean(g), mean(g x̂) / deviation] with g = gamma dy, the same for all channels of
 * a group; dgamma += sum dy x̂, dbeta += sum dy. Immediates: groups, values of a channel. */
BT_RUN(group_norm_backward_finish) {
    const uint32_t groups = o->immediate[0], n = o->immediate[1], channels = o->view[0].of->dims[0] / groups;
    const float *sums = o->view[0].data, *gamma = o->view[2].data;
    for (uint32_t g = 0; g < groups; g++) {
        const float count = (float)(channels * n);
        float sum = 0.0f, sum_xhat = 0.0f;
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++) {
            const float plain = sums[2 * c], dot = sums[2 * c + 1];
            o->view[5].data[c] += plain;
            o->view[4].data[c] += dot;
            sum = fmaf(gamma[c], plain, sum);
            sum_xhat = fmaf(gamma[c], dot, sum_xhat);
        }
        for (uint32_t c = g * channels; c < (g + 1) * channels; c++) {
            o->view[3].data[2 * c] = sum / count;
            o->view[3].data[2 * c + 1] = sum_xhat / count * o->view[1].data[2 * c + 1];
        }
    }
}

BT_CHECK(norm_backward_apply) {
    const bt_tensor *x = &o->view[1];
    const uint32_t channels = x->of->rank ? x->of->dims[0] : 0;
    return channels && bt_same_shape(x, &o->view[0]) && pairs(o, 2, channels) && pairs(o, 3, channels) &&
           is_row(o, 4, channels) && bt_same_shape(x, &o->view[5]);
}

static void backward_apply(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const uint32_t n = o->view[0].of->count / o->view[0].of->dims[0], pieces = bt_row_pieces(o->view[0].of->dims[0], n);
    const uint32_t c = index / pieces, from = c * n + (pieces > 1 ? bt_stretch_begin(n, index % pieces) : 0);
    const uint32_t to = c * n + (pieces > 1 ? bt_stretch_end(n, index % pieces) : n);
    const float *statistics = o->view[2].data + 2 * c, *means = o->view[3].data + 2 * c;
    bt_norm_row_backward(o->view[0].data + from, o->view[1].data + from, o->view[5].data + from, to - from,
                         statistics[0], statistics[1], o->view[4].data[c], means[0], means[1]);
}

/* dx = (gamma dy - mean(g) - x̂ mean(g x̂)) / deviation; dx may be dy or x. */
BT_RUN(norm_backward_apply) { for_rows(o, backward_apply); }
