/* Convolutions that are products of matrices (matrix_scalar.h) and whose input lies in slow memory: it comes in stretches
 * of positions, through two halves of `stage`, the next stretch beside the work on this one. The order of every sum is
 * that of conv2d.c. Processors with caches read the input where it lies.
 * Operands: those of the convolution, then stage [values]. */

enum { STAGED_TILES = 4 };

/* Positions of a stretch: whole tiles of 8, so that values keep their lanes. */
static int32_t staged_stretch(const bt_tensor *stage, uint32_t n) { return (int32_t)(stage->of->count / 2 / n & ~7u); }

static bool staged_fits(const bt_operands *o, const bt_tensor *x, const bt_tensor *w, const bt_tensor *y) {
    const uint32_t *m = o->immediate;
    if (!conv_fits(o, x, w, y) || !o->view[4].of->rank) return false;
    const uint32_t n = w->of->dims[1] * w->of->dims[2], positions = y->of->dims[1] * y->of->dims[2];
    const bool product = w->of->dims[3] == 1 && m[8] == 1 && m[0] == 1 && m[1] == 1 && !(m[2] | m[3] | m[4] | m[5]) &&
                         (w->of->dims[2] == 1 || (w->of->dims[2] == x->of->dims[1] && m[6] == 1));
    const uint32_t stretch = (uint32_t)staged_stretch(&o->view[4], n), last = stretch ? positions % stretch : 0;
    return product && n % 4 == 0 && y->of->dims[0] % 4 == 0 && stretch && positions >= 32 && (!last || last >= 8);
}

BT_CHECK(staged_conv2d_forward) {
    const bt_tensor *bias = &o->view[2];
    return staged_fits(o, &o->view[0], &o->view[1], &o->view[3]) &&
           (!bias->of->rank || bt_shape_is(bias, 1, o->view[3].of->dims[0], 0, 0, 0));
}

BT_CHECK(staged_conv2d_weight_gradient) {
    const bt_tensor *bias = &o->view[3];
    if (!staged_fits(o, &o->view[0], &o->view[2], &o->view[1])) return false;
    return o->view[2].of->count <= STAGED_TILES * 16 && (!bias->of->rank || bt_shape_is(bias, 1, o->view[1].of->dims[0], 0, 0, 0));
}

#if defined(BT_VECTOR) || defined(BT_PLAIN_LOOPS)
BT_RUN(staged_conv2d_forward) { BT_JOIN(conv2d_forward, run, BT_KERNEL_SET)(o); }
BT_RUN(staged_conv2d_weight_gradient) { BT_JOIN(conv2d_weight_gradient, run, BT_KERNEL_SET)(o); }
#else
typedef struct staged_job {
    matrix m; /* of one stretch: in lies in stage */
    float kept[STAGED_TILES][BT_LANES][BT_DOTS * BT_DOTS];
} staged_job;

/* One lane of every tile of four outputs and four rows of the input. */
static void staged_lane(void *arg, uint32_t lane) {
    staged_job *shared = arg;
    const matrix *m = &shared->m;
    for (int32_t tile = 0; tile < m->outputs * m->n / 16; tile++) {
        const float *x = m->in + tile % m->blocks * BT_DOTS * m->in_row, *columns[BT_DOTS];
        for (int32_t c = 0; c < BT_DOTS; c++, x += m->in_row) columns[c] = x;
        four_by_lanes(shared->kept[tile], m->init + tile / m->blocks * MATRIX_ROWS * m->out_row, m->out_row, MATRIX_ROWS,
                      columns, (int32_t)lane, (int32_t)lane + 1, m->positions, true);
    }
}

/* One stretch after the other, each by `work`. `moves`: y, or dy, whose place follows the stretch. */
static void staged(const bt_operands *o, staged_job *shared, bool forward, float *moves) {
    matrix *m = &shared->m;
    bt_port *port = o->run->port;
    const int32_t all = m->out_row, stretch = staged_stretch(&o->view[4], (uint32_t)m->n);
    float *half = o->view[4].data, *other = half + stretch * m->n;
    for (int32_t from = -stretch; from < all; from += stretch) {
        const int32_t next = from + stretch, count = conv_least(stretch, all - next);
        bt_port_copy_wait(port);
        if (count > 0)
            bt_port_copy_rows(port, other, o->view[0].data + next, (uint32_t)m->n, 4 * (uint32_t)count, 4 * (uint32_t)all);
        if (from >= 0) {
            m->in = half;
            m->positions = m->in_row = conv_least(stretch, all - from);
            if (forward) {
                m->out = moves + from;
                bt_port_parallel(port, matrix_forward_piece, m, matrix_pieces(o->run, m, m->outputs));
            } else {
                m->init = moves + from;
                bt_port_parallel(port, staged_lane, shared, BT_LANES);
            }
        }
        float *const swap = half;
        half = other;
        other = swap;
    }
}

BT_RUN(staged_conv2d_forward) {
    staged_job own;
    if (!matrix_of(o, &o->view[0], &o->view[1], &o->view[3], &own.m)) return;
    own.m.init = o->view[2].data;
    staged(o, &own, true, o->view[3].data);
}

BT_RUN(staged_conv2d_weight_gradient) {
    staged_job own;
    matrix *m = &own.m;
    if (!matrix_of(o, &o->view[0], &o->view[2], &o->view[1], m)) return;
    m->blocks = m->n / BT_DOTS;
    memset(own.kept, 0, sizeof own.kept);
    staged(o, &own, false, o->view[1].data);
    for (int32_t tile = 0; tile < m->outputs * m->n / 16; tile++) {
        float *dw = o->view[2].data + tile / m->blocks * MATRIX_ROWS * m->n + tile % m->blocks * BT_DOTS;
        for (int32_t k = 0; k < 16; k++) dw[k / 4 * m->n + k % 4] += 0.0f + fold_dot(own.kept[tile][0] + k);
    }
    if (!o->view[3].of->rank) return;
    weight_job bias = {.o = o, .s = conv_read(o, &o->view[0], &o->view[2], &o->view[1], true)};
    bt_port_parallel(o->run->port, bias_piece, &bias, (uint32_t)bias.s.cout);
}
#endif
