/* Two-dimensional convolution, any kernel, stride, padding, dilation and groups.
 * x [Cin][H][W], w [Cout][Cin/groups][KH][KW], bias [Cout] or none, y [Cout][Ho][Wo].
 * What lies beside the map is left out of every sum. A convolution one column wide, without padding, of strides 1, takes
 * all its outputs as one row.
 * Order of summation, each an fmaf:
 *   forward         y: bias (or 0), then input channel, kernel row, kernel column, ascending
 *   input gradient  dx: 0, then output channel and kernel row ascending, kernel column descending
 *   weight gradient dw: for the kernel's columns in whole tiles of 8: 0, then output row and column, ascending; for the
 *                   up to 7 columns left: each output row's reached columns in eight lanes (bt_dot), or in order where
 *                   they are fewer than 32; then rows ascending. The total is added to dw; a single row of fewer than 32
 *                   outputs that was made of all begins with dw instead.
 * Strides 1 go through correlate.h, which keeps tiles in registers; other strides through conv_strided.h. */
#include "conv_strided.h"
#if defined(__AVX512F__) && !defined(BT_PLAIN_LOOPS)
#include "taps_wide.h"
#define BT_WIDE_TAPS 1
#endif

#ifdef BT_VECTOR
enum { LEAST_PIECES = 1, DW_COLUMNS = 64, DW_WIDE = 0 };
#else
enum { LEAST_PIECES = 8, DW_COLUMNS = 16, DW_WIDE = 13 }; /* as many as correlate_scalar.h takes of one row */
#endif
#if !defined(BT_VECTOR) && !defined(BT_PLAIN_LOOPS)
#include "matrix_scalar.h"
#else
static bool matrix_forward(const bt_operands *o) { return (void)o, false; }
static bool matrix_input_gradient(const bt_operands *o) { return (void)o, false; }
static bool matrix_weight_gradient(const bt_operands *o) { return (void)o, false; }
#endif

/* How the outputs of a pass are dealt out in pieces: channels by four within a group, rows, and stretches of a row. */
typedef struct deal {
    int32_t channels, blocks, rows, columns, stretches, stretch;
} deal;

typedef struct piece {
    int32_t group, channel, count, row, from, to;
} piece;

/* What every piece of a pass works from. */
typedef struct job {
    const bt_operands *o;
    conv s;
    deal d;
} job;

static deal deal_out(const conv *s, int32_t channels, int32_t rows, int32_t columns) {
    deal d = {.channels = channels, .blocks = (channels + BT_TILE_ROWS - 1) / BT_TILE_ROWS, .rows = rows,
              .columns = columns, .stretches = 1};
    const int32_t pieces = d.blocks * s->groups * rows;
    if (pieces < LEAST_PIECES) d.stretches = conv_most(1, conv_least(LEAST_PIECES / pieces, columns / 16));
    d.stretch = (columns / d.stretches + 7) / 8 * 8;
    d.stretches = conv_most(1, (columns + d.stretch - 8) / d.stretch); /* none has fewer than 8, unless the row has */
    return d;
}

static uint32_t pieces_of(const conv *s, const deal *d) {
    return (uint32_t)(d->blocks * s->groups * d->rows * d->stretches);
}

static piece piece_of(const deal *d, uint32_t index) {
    const int32_t i = (int32_t)index, stretch = i % d->stretches, block = i / d->stretches / d->rows;
    const int32_t channel = block % d->blocks * BT_TILE_ROWS, from = stretch * d->stretch;
    return (piece){.group = block / d->blocks, .channel = channel,
                   .count = conv_least(BT_TILE_ROWS, d->channels - channel), .row = i / d->stretches % d->rows,
                   .from = from, .to = stretch + 1 == d->stretches ? d->columns : from + d->stretch};
}

BT_CHECK(conv2d_forward) {
    const bt_tensor *bias = &o->view[2];
    return conv_fits(o, &o->view[0], &o->view[1], &o->view[3]) &&
           (!bias->of->rank || bt_shape_is(bias, 1, o->view[3].of->dims[0], 0, 0, 0));
}

static void forward_piece(void *arg, uint32_t index) {
    const job *work = arg;
    const bt_operands *o = work->o;
    const conv s = work->s;
    const piece p = piece_of(&work->d, index);
    const int32_t co = p.group * s.group_out + p.channel, from = p.row - s.top, taps = s.kh * s.kw;
    int32_t kh, kh_end;
    conv_reached(s.kh, s.h, from, s.dilation_h, &kh, &kh_end);
    const sweep all = {
        .w = o->view[1].data + co * s.group_in * taps + kh * s.kw, .w_row = s.group_in * taps, .w_step = 1, .taps = s.kw,
        .in = o->view[0].data + p.group * s.group_in * s.h * s.pitch + (from + kh * s.dilation_h) * s.pitch,
        .width = s.w, .shift = -s.left,
        .n1 = s.group_in, .in1 = s.h * s.pitch, .w1 = taps, .n2 = kh_end - kh, .in2 = s.dilation_h * s.pitch, .w2 = s.kw,
    };
    correlate(&all, o->view[3].data + (co * s.ho + p.row) * s.wo, s.ho * s.wo, p.count, p.from, p.to,
              o->view[2].of->rank ? o->view[2].data + co : NULL);
}

static __attribute__((noinline)) void any_forward(const bt_operands *o) {
    const conv s = conv_read(o, &o->view[0], &o->view[1], &o->view[3], true);
    if (!conv_is_dense(&s)) {
        bt_port_parallel(o->run->port, strided_forward, (void *)(uintptr_t)o, (uint32_t)s.cout);
        return;
    }
    job work = {o, s, deal_out(&s, s.group_out, s.ho, s.wo)};
    bt_port_parallel(o->run->port, forward_piece, &work, pieces_of(&s, &work.d));
}

BT_RUN(conv2d_forward) {
    if (!matrix_forward(o)) any_forward(o);
}

BT_CHECK(conv2d_input_gradient) {
    return conv_fits(o, &o->view[2], &o->view[1], &o->view[0]);
}

static void input_gradient_piece(void *arg, uint32_t index) {
    const job *work = arg;
    const bt_operands *o = work->o;
    const conv s = work->s;
    const piece p = piece_of(&work->d, index);
    const int32_t ci = p.group * s.group_in + p.channel, taps = s.kh * s.kw, from = p.row + s.top;
    int32_t kh, kh_end;
    conv_reached(s.kh, s.ho, from, -s.dilation_h, &kh, &kh_end);
    const sweep all = {
        .w = o->view[1].data + (p.group * s.group_out * s.group_in + p.channel) * taps + kh * s.kw + s.kw - 1,
        .w_row = taps, .w_step = -1, .taps = s.kw,
        .in = o->view[0].data + p.group * s.group_out * s.ho * s.wo + (from - kh * s.dilation_h) * s.wo,
        .width = s.wo, .shift = s.left - s.kw + 1,
        .n1 = s.group_out, .in1 = s.ho * s.wo, .w1 = s.group_in * taps,
        .n2 = kh_end - kh, .in2 = -s.dilation_h * s.wo, .w2 = s.kw,
    };
    correlate(&all, o->view[2].data + (ci * s.h + p.row) * s.w, s.h * s.w, p.count, p.from, p.to, NULL);
}

static __attribute__((noinline)) void any_input_gradient(const bt_operands *o) {
    const conv s = conv_read(o, &o->view[2], &o->view[1], &o->view[0], o->view[1].of->dims[2] == 1);
    if (!conv_is_dense(&s)) {
        bt_port_parallel(o->run->port, strided_input_gradient, (void *)(uintptr_t)o, (uint32_t)s.cin);
        return;
    }
    job work = {o, s, deal_out(&s, s.group_in, s.h, s.w)};
    bt_port_parallel(o->run->port, input_gradient_piece, &work, pieces_of(&s, &work.d));
}

BT_RUN(conv2d_input_gradient) {
    if (!matrix_input_gradient(o)) any_input_gradient(o);
}

BT_CHECK(conv2d_weight_gradient) {
    const bt_tensor *bias = &o->view[3];
    return conv_fits(o, &o->view[0], &o->view[2], &o->view[1]) &&
           (!bias->of->rank || bt_shape_is(bias, 1, o->view[1].of->dims[0], 0, 0, 0));
}

/* The pieces of a weight gradient: whole tiles of kernel columns, then columns that are left, then the bias. */
typedef struct shares {
    int32_t blocks, tiled, stretches, stretch, left, fours, together; /* columns left, pieces of them, columns of a piece */
    uint32_t whole, rest, all;
} shares;

static shares share_out(const conv *s, bool bias) {
    shares n = {.blocks = s->groups * ((s->group_out + BT_TILE_ROWS - 1) / BT_TILE_ROWS), .tiled = s->kw & ~7};
    n.stretch = DW_WIDE && s->group_out == 1 && s->kh == 1 && n.tiled >= 4 * DW_WIDE ? DW_WIDE : DW_COLUMNS;
    n.stretches = (n.tiled + n.stretch - 1) / n.stretch;
    n.left = s->group_in * s->kh * (s->kw - n.tiled);
    n.together = n.blocks * (n.left + BT_DOTS - 1) / BT_DOTS < LEAST_PIECES ? 1 : BT_DOTS;
    n.fours = (n.left + n.together - 1) / n.together;
    n.whole = (uint32_t)(n.blocks * s->group_in * s->kh * n.stretches);
#ifdef BT_WIDE_TAPS
    if (taps_together(s, n.tiled)) n.whole = (uint32_t)(n.blocks * s->group_in / taps_channels(n.tiled) * s->kh);
#endif
    n.rest = n.whole + (uint32_t)(n.blocks * n.fours);
    n.all = n.rest + (bias ? (uint32_t)s->cout : 0);
    return n;
}

/* A block's first output channel and how many there are. */
static int32_t block_channels(const conv *s, int32_t block, int32_t *first) {
    const int32_t a_group = (s->group_out + BT_TILE_ROWS - 1) / BT_TILE_ROWS;
    const int32_t channel = block % a_group * BT_TILE_ROWS;
    *first = block / a_group * s->group_out + channel;
    return conv_least(BT_TILE_ROWS, s->group_out - channel);
}

static void tiled_columns(const bt_operands *o, const conv *s, const shares *n, int32_t index) {
#ifdef BT_WIDE_TAPS
    if (taps_together(s, n->tiled)) {
        taps_piece(o, s, n->tiled, index);
        return;
    }
#endif
    int32_t co, row, row_end;
    const int32_t stretch = index % n->stretches, kh = index / n->stretches % s->kh;
    const int32_t ci = index / n->stretches / s->kh % s->group_in;
    const int32_t count = block_channels(s, index / n->stretches / s->kh / s->group_in, &co);
    /* a last stretch that is too short for a tile begins earlier, and leaves out what another one adds */
    const int32_t begin = stretch * n->stretch, to = conv_least(n->tiled, begin + n->stretch);
    const int32_t from = n->stretch == DW_WIDE ? to - DW_WIDE : begin;
    const int32_t first = kh * s->dilation_h - s->top;
    conv_reached(s->ho, s->h, first, 1, &row, &row_end);
    const sweep all = {
        .w = o->view[1].data + (co * s->ho + row) * s->wo, .w_row = s->ho * s->wo, .w_step = 1, .taps = s->wo,
        .in = o->view[0].data + ((co / s->group_out * s->group_in + ci) * s->h + first + row) * s->pitch, .width = s->w,
        .shift = from - s->left, .n1 = 1, .n2 = row_end - row, .in2 = s->pitch, .w2 = s->wo,
    };
    float sum[BT_TILE_ROWS * DW_COLUMNS];
    correlate(&all, sum, DW_COLUMNS, count, 0, to - from, NULL);
    for (int32_t r = 0; r < count; r++) {
        float *dw = o->view[2].data + (((co + r) * s->group_in + ci) * s->kh + kh) * s->kw + from;
        const float *add = sum + r * DW_COLUMNS;
        int32_t k = begin - from;
        for (; k + 8 <= to - from; k += 8) BT_EIGHT for (int32_t i = 0; i < 8; i++) dw[k + i] += add[k + i];
        for (; k < to - from; k++) dw[k] += add[k];
    }
}

/* The values of x that a kernel column reaches from the first output row, where there is no padding. */
static const float *left_column(const bt_operands *o, const conv *s, int32_t co, int32_t place) {
    const int32_t row = place / s->kw, channel = (s->groups > 1 ? co / s->group_out * s->group_in : 0) + row / s->kh;
    return o->view[0].data + (channel * s->h + row % s->kh * s->dilation_h) * s->pitch + place % s->kw;
}

/* Sums that begin with dw are taken from there, or put back. */
BT_RARE void exchange(float sum[BT_DOTS][BT_DOTS], int32_t rows, int32_t columns, float *dw, int32_t taps,
                      const int32_t *place, bool take) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < columns; c++)
            if (take) sum[r][c] = dw[r * taps + place[c]];
            else dw[r * taps + place[c]] = sum[r][c];
}

/* Four columns of the kernel that are left, anywhere among input channels and kernel rows, by four output channels. */
static void left_columns(const bt_operands *o, const conv *s, const shares *n, int32_t index) {
    int32_t co, place[BT_DOTS];
    const int32_t count = block_channels(s, index / n->fours, &co), at = index % n->fours * n->together;
    const int32_t columns = conv_least(n->together, n->left - at), width = s->kw - n->tiled;
    float total[BT_DOTS][BT_DOTS] = {{0}}, *dw = o->view[2].data + co * s->group_in * s->kh * s->kw;
    const int32_t taps = s->group_in * s->kh * s->kw;
    for (int32_t c = 0; c < columns; c++) place[c] = (at + c) / width * s->kw + n->tiled + (at + c) % width;
    const bool inside = !(s->top | s->bottom | s->left | s->right);
    const bool begun = inside && s->kw == 1 && s->ho == 1 && s->wo < BT_LONG_DOT;
    if (begun) exchange(total, count, columns, dw, taps, place, true);
    const float *reached[BT_DOTS];
    for (int32_t c = 0; inside && c < columns; c++) reached[c] = left_column(o, s, co, place[c]);
    for (int32_t row = 0; row < s->ho && inside; row++) {
        float sum[BT_DOTS][BT_DOTS];
        dots(begun ? total : sum, o->view[1].data + (co * s->ho + row) * s->wo, s->ho * s->wo, count, reached, columns,
             s->wo, begun);
        for (int32_t c = 0; c < columns; c++) reached[c] += s->pitch;
        for (int32_t r = 0; r < count && !begun; r++)
            for (int32_t c = 0; c < columns; c++) total[r][c] += sum[r][c];
    }
    for (int32_t row = 0; row < s->ho && !inside; row++) {
        const float *dy = o->view[1].data + (co * s->ho + row) * s->wo, *x[BT_DOTS];
        float sum[BT_DOTS][BT_DOTS];
        bool together = true;
        int32_t from[BT_DOTS], to[BT_DOTS];
        for (int32_t c = 0; c < columns; c++) {
            const int32_t kernel_row = place[c] / s->kw, shift = place[c] % s->kw - s->left;
            const int32_t in_row = row + kernel_row % s->kh * s->dilation_h - s->top;
            from[c] = conv_most(0, -shift);
            to[c] = in_row < 0 || in_row >= s->h ? 0 : conv_least(s->wo, s->w - shift);
            x[c] = o->view[0].data + ((co / s->group_out * s->group_in + kernel_row / s->kh) * s->h + in_row) * s->pitch +
                   shift;
            together = together && from[c] == 0 && to[c] == s->wo;
        }
        if (together) dots(sum, dy, s->ho * s->wo, count, x, columns, s->wo, false);
        for (int32_t c = 0; c < columns; c++) {
            float one[BT_DOTS][BT_DOTS] = {{0}};
            const float *start = x[c] + from[c];
            if (!together && from[c] < to[c])
                dots(one, dy + from[c], s->ho * s->wo, count, &start, 1, to[c] - from[c], false);
            for (int32_t r = 0; r < count; r++) total[r][c] += together ? sum[r][c] : one[r][0];
        }
    }
    if (begun) exchange(total, count, columns, dw, taps, place, false);
    for (int32_t r = 0; r < count && !begun; r++)
        for (int32_t c = 0; c < columns; c++) dw[r * taps + place[c]] += total[r][c];
}

typedef struct weight_job {
    const bt_operands *o;
    conv s;
    shares n;
} weight_job;

static void weight_gradient_piece(void *arg, uint32_t index) {
    const weight_job *work = arg;
    const shares *n = &work->n;
    if (index < n->whole) tiled_columns(work->o, &work->s, n, (int32_t)index);
    else if (index < n->rest) left_columns(work->o, &work->s, n, (int32_t)(index - n->whole));
    else conv_bias_gradient(work->o, &work->s, (int32_t)(index - n->rest));
}

#if !defined(BT_VECTOR) && !defined(BT_PLAIN_LOOPS)
/* So few tiles of long rows that cores would be idle: they share the lanes of each. */
enum { MOST_SUMS = 4 };

typedef struct lane_job {
    const weight_job *work;
    float kept[MOST_SUMS][BT_LANES][BT_DOTS * BT_DOTS]; /* of each tile and output row */
} lane_job;

static bool shares_lanes(const conv *s, const shares *n) {
    const bool plain = !n->tiled && !(s->top | s->bottom | s->left | s->right);
    return plain && s->wo >= BT_LONG_DOT && n->left % BT_DOTS == 0 && s->group_out % 2 == 0 &&
           (s->group_out % BT_DOTS == 0 || s->group_out == 2) && n->blocks * n->left / BT_DOTS * s->ho <= MOST_SUMS;
}

/* One tile and output row: where its columns and rows begin. */
static int32_t lane_tile(const weight_job *work, int32_t sum, int32_t *co, int32_t *at, const float **columns) {
    const conv *s = &work->s;
    const int32_t row = sum % s->ho, tile = sum / s->ho, fours = work->n.left / BT_DOTS;
    const int32_t count = block_channels(s, tile / fours, co);
    *at = tile % fours * BT_DOTS;
    for (int32_t c = 0; c < BT_DOTS; c++) columns[c] = left_column(work->o, s, *co, *at + c) + row * s->pitch;
    return count;
}

static void lane_piece(void *arg, uint32_t lane) {
    lane_job *lanes = arg;
    const weight_job *work = lanes->work;
    const conv *s = &work->s;
    for (int32_t sum = 0; sum < work->n.blocks * work->n.left / BT_DOTS * s->ho; sum++) {
        const float *columns[BT_DOTS];
        int32_t co, at;
        const int32_t count = lane_tile(work, sum, &co, &at, columns);
        const float *dy = work->o->view[1].data + (co * s->ho + sum % s->ho) * s->wo;
        four_by_lanes(lanes->kept[sum], dy, s->ho * s->wo, count, columns, (int32_t)lane, (int32_t)lane + 1, s->wo, false);
    }
}

static void bias_piece(void *arg, uint32_t index) {
    const weight_job *work = arg;
    conv_bias_gradient(work->o, &work->s, (int32_t)index);
}

static void share_lanes(const weight_job *work) {
    lane_job lanes = {.work = work};
    const conv *s = &work->s;
    bt_port_parallel(work->o->run->port, lane_piece, &lanes, BT_LANES);
    bt_port_parallel(work->o->run->port, bias_piece, (void *)(uintptr_t)work, work->n.all - work->n.rest);
    for (int32_t first = 0; first < work->n.blocks * work->n.left / BT_DOTS * s->ho; first += s->ho) {
        const float *columns[BT_DOTS];
        int32_t co, at;
        const int32_t count = lane_tile(work, first, &co, &at, columns);
        float total[BT_DOTS][BT_DOTS] = {{0}};
        for (int32_t row = 0; row < s->ho; row++) {
            float sum[BT_DOTS][BT_DOTS];
            fold_dots(sum, lanes.kept[first + row], count);
            for (int32_t k = 0; k < BT_DOTS * count; k++) total[k / BT_DOTS][k % BT_DOTS] += sum[k / BT_DOTS][k % BT_DOTS];
        }
        for (int32_t r = 0; r < count; r++)
            for (int32_t c = 0; c < BT_DOTS; c++) work->o->view[2].data[(co + r) * work->n.left + at + c] += total[r][c];
    }
}
#else
static bool shares_lanes(const conv *s, const shares *n) {
    (void)s, (void)n;
    return false;
}
static void share_lanes(const weight_job *work) { (void)work; }
#endif

static __attribute__((noinline)) void any_weight_gradient(const bt_operands *o) {
    const conv s = conv_read(o, &o->view[0], &o->view[2], &o->view[1], true);
    if (!conv_is_dense(&s)) {
        bt_port_parallel(o->run->port, strided_weight_gradient, (void *)(uintptr_t)o, (uint32_t)s.cout);
        return;
    }
    weight_job work = {o, s, share_out(&s, o->view[3].of->rank != 0)};
    if (shares_lanes(&s, &work.n)) {
        share_lanes(&work);
        return;
    }
    bt_port_parallel(o->run->port, weight_gradient_piece, &work, work.n.all);
}

BT_RUN(conv2d_weight_gradient) {
    if (!matrix_weight_gradient(o)) any_weight_gradient(o);
}

#include "conv_staged.h"
