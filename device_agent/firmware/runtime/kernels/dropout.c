/* y[i] = x[i] / (1 - p) where hash(key of this window and layer, i) >= p * 2^32, else 0. The backward pass draws
 * the same mask again instead of keeping it. Immediates: layer, bits of p. In place or not. */
#include "kernel.h"

static bool check(const bt_operands *o) {
    const float p = bt_float_bits(o->immediate[1]);
    return o->view[0].of->rank && bt_same_shape(&o->view[0], &o->view[1]) && p >= 0.0f && p < 1.0f;
}

/* value or 0; a branch that nothing can foresee costs a large processor more than a mask. */
static inline float bt_kept(bool keep, float value) {
#if defined(__riscv)
    return keep ? value : 0.0f;
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bt_float_bits(bits & (0u - (uint32_t)keep));
#endif
}

static void drop_piece(void *arg, uint32_t index) {
    const bt_operands *o = arg;
    const float p = bt_float_bits(o->immediate[1]), scale = 1.0f / (1.0f - p);
    const uint32_t threshold = (uint32_t)(p * 4294967296.0f);
    const uint32_t key = bt_window_key(o->run->dropout_key, o->immediate[0]);
    const uint32_t count = o->view[0].of->count, to = bt_stretch_end(count, index);
    for (uint32_t i = bt_stretch_begin(count, index); i < to; i++)
        o->view[1].data[i] = bt_kept(bt_hash_counter(key, i) >= threshold, o->view[0].data[i] * scale);
}

static void drop(const bt_operands *o) { bt_stretches(o->run->port, drop_piece, o, o->view[0].of->count); }

BT_CHECK(dropout_forward) { return check(o); }
BT_RUN(dropout_forward) { drop(o); }
BT_CHECK(dropout_backward) { return check(o); }
BT_RUN(dropout_backward) { drop(o); }
