/* The sums that all norms are made of: value i goes to lane i mod 8, in order; then the lanes are folded. */
#include "norm_rows.h"
#include "vector.h"

/* Lanes have constant numbers in the long loops here, so that they lie in registers. */
float bt_row_sum(const float *x, uint32_t n) {
    const float *const whole = x + (n & ~7u);
    float lane[BT_LANES] = {0};
    for (; x != whole; x += BT_LANES)
        BT_EIGHT for (uint32_t j = 0; j < BT_LANES; j++) lane[j] += x[j];
    float all[BT_LANES];
    BT_EIGHT for (uint32_t j = 0; j < BT_LANES; j++) all[j] = lane[j];
    for (uint32_t j = 0; j < (n & 7); j++) all[j] += x[j];
    return bt_fold_lanes(all);
}

static inline __attribute__((always_inline)) float centred(const float *a, float mean_a, const float *b, float mean_b,
                                                           const bool same, uint32_t n) {
    const float *const whole = a + (n & ~7u);
    float lane[BT_LANES] = {0};
    for (; a != whole; a += BT_LANES, b += BT_LANES)
        BT_EIGHT for (uint32_t j = 0; j < BT_LANES; j++) {
            const float d = a[j] - mean_a;
            lane[j] = fmaf(d, same ? d : b[j] - mean_b, lane[j]);
        }
    float all[BT_LANES];
    BT_EIGHT for (uint32_t j = 0; j < BT_LANES; j++) all[j] = lane[j];
    for (uint32_t j = 0; j < (n & 7); j++) all[j] = fmaf(a[j] - mean_a, b[j] - mean_b, all[j]);
    return bt_fold_lanes(all);
}

float bt_centred_product(const float *a, float mean_a, const float *b, float mean_b, uint32_t n) {
    return a == b && mean_a == mean_b ? centred(a, mean_a, a, mean_a, true, n) : centred(a, mean_a, b, mean_b, false, n);
}

void bt_four_sums(const float *const x[BT_FOUR], uint32_t n, float out[BT_FOUR]) {
    float lane[BT_FOUR][BT_LANES] = {{0}};
    uint32_t i = 0;
#ifdef BT_VECTOR
    bt_vector s0 = bt_vector_all(0.0f), s1 = s0, s2 = s0, s3 = s0;
    for (; i + BT_LANES <= n; i += BT_LANES) {
        s0 = bt_vector_add(s0, bt_vector_load(x[0] + i)), s1 = bt_vector_add(s1, bt_vector_load(x[1] + i));
        s2 = bt_vector_add(s2, bt_vector_load(x[2] + i)), s3 = bt_vector_add(s3, bt_vector_load(x[3] + i));
    }
    bt_vector_store(lane[0], s0), bt_vector_store(lane[1], s1), bt_vector_store(lane[2], s2), bt_vector_store(lane[3], s3);
#endif
    for (uint32_t r = 0; r < BT_FOUR; r++) {
        for (uint32_t k = i; k < n; k++) lane[r][k % BT_LANES] += x[r][k];
        out[r] = bt_fold_lanes(lane[r]);
    }
}

void bt_four_products(const float *const a[BT_FOUR], const float mean_a[BT_FOUR], const float *const b[BT_FOUR],
                      const float mean_b[BT_FOUR], uint32_t n, float out[BT_FOUR]) {
    float lane[BT_FOUR][BT_LANES] = {{0}};
    uint32_t i = 0;
#ifdef BT_VECTOR
    bt_vector s0 = bt_vector_all(0.0f), s1 = s0, s2 = s0, s3 = s0, u[BT_FOUR], v[BT_FOUR];
    for (uint32_t r = 0; r < BT_FOUR; r++) u[r] = bt_vector_all(mean_a[r]), v[r] = bt_vector_all(mean_b[r]);
#define BT_PRODUCT(r, s)                                                                          \
    s = bt_vector_fma(bt_vector_subtract(bt_vector_load(a[r] + i), u[r]), \
                      bt_vector_subtract(bt_vector_load(b[r] + i), v[r]), s)
    for (; i + BT_LANES <= n; i += BT_LANES) {
        BT_PRODUCT(0, s0);
        BT_PRODUCT(1, s1);
        BT_PRODUCT(2, s2);
        BT_PRODUCT(3, s3);
    }
#undef BT_PRODUCT
    bt_vector_store(lane[0], s0), bt_vector_store(lane[1], s1), bt_vector_store(lane[2], s2), bt_vector_store(lane[3], s3);
#endif
    for (uint32_t r = 0; r < BT_FOUR; r++) {
        for (uint32_t k = i; k < n; k++)
            lane[r][k % BT_LANES] =
                fmaf(a[r][k] - mean_a[r], b[r][k] - mean_b[r], lane[r][k % BT_LANES]);
        out[r] = bt_fold_lanes(lane[r]);
    }
}

typedef struct lane_job {
    const float *a, *b, *mean_a, *mean_b;
    uint32_t rows, n;
    float lane[BT_STRETCHES][BT_LANES];
} lane_job;

/* Every eighth value; `same`: b is a; `plain`: the values alone. */
static inline __attribute__((always_inline)) float lane_sum(const float *a, float mean_a, const float *b, float mean_b,
                                                            const float *end, const bool plain, const bool same) {
    float sum = 0.0f;
#define BT_ONE(i)                                                       \
    do {                                                                \
        const float d = plain ? a[i] : a[i] - mean_a;                   \
        sum = plain ? sum + d : fmaf(d, same ? d : b[i] - mean_b, sum); \
    } while (0)
    for (; end - a > 3 * BT_LANES; a += 4 * BT_LANES, b += 4 * BT_LANES) {
        BT_ONE(0);
        BT_ONE(BT_LANES);
        BT_ONE(2 * BT_LANES);
        BT_ONE(3 * BT_LANES);
    }
    for (; a < end; a += BT_LANES, b += BT_LANES) BT_ONE(0);
#undef BT_ONE
    return sum;
}

static void lane_piece(void *arg, uint32_t index) {
    lane_job *job = arg;
    for (uint32_t r = 0; r < job->rows; r++) {
        const float *row = job->a + r * job->n, *a = row + index, *end = row + job->n, *b = job->b ? job->b + r * job->n + index : a;
        job->lane[r][index] = !job->b            ? lane_sum(a, 0.0f, a, 0.0f, end, true, false)
                              : job->a == job->b ? lane_sum(a, job->mean_a[2 * r], a, 0.0f, end, false, true)
                                                 : lane_sum(a, 0.0f, b, job->mean_b[2 * r], end, false, false);
    }
}

static void share(bt_port *port, lane_job *job, float *out) {
    bt_port_parallel(port, lane_piece, job, BT_LANES);
    for (uint32_t r = 0; r < job->rows; r++) out[2 * r] = bt_fold_lanes(job->lane[r]);
}

void bt_shared_sums(bt_port *port, const float *a, uint32_t rows, uint32_t n, float *out) {
    lane_job job = {.a = a, .rows = rows, .n = n};
    share(port, &job, out);
}

void bt_shared_squares(bt_port *port, const float *a, const float *mean, uint32_t rows, uint32_t n, float *out) {
    lane_job job = {.a = a, .b = a, .mean_a = mean, .rows = rows, .n = n};
    share(port, &job, out);
}

void bt_shared_products(bt_port *port, const float *a, const float *b, const float *mean_b, uint32_t rows, uint32_t n,
                        float *out) {
    lane_job job = {.a = a, .b = b, .mean_b = mean_b, .rows = rows, .n = n};
    share(port, &job, out);
}
