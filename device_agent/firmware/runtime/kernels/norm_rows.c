/* The sums that all norms are made of: value i goes to lane i mod 8, in order; then the lanes are folded. */
#include "norm_rows.h"
#include "vector.h"

float bt_row_sum(const float *x, uint32_t n) { return bt_sum(x, n); }

float bt_centred_product(const float *a, float mean_a, const float *b, float mean_b, uint32_t n) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] = fmaf(a[i + j] - mean_a, b[i + j] - mean_b, lane[j]);
    for (uint32_t j = 0; i + j < n; j++) lane[j] = fmaf(a[i + j] - mean_a, b[i + j] - mean_b, lane[j]);
    return bt_fold_lanes(lane);
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
    const float *a, *b;
    float mean_a, mean_b, lane[BT_LANES];
    uint32_t n;
} lane_job;

static void lane_piece(void *arg, uint32_t index) {
    lane_job *job = arg;
    const float *a = job->a, *b = job->b, mean_a = job->mean_a, mean_b = job->mean_b;
    const uint32_t n = job->n;
    float sum = 0.0f;
    if (b) {
        BT_UNROLL
        for (uint32_t i = index; i < n; i += BT_LANES) sum = fmaf(a[i] - mean_a, b[i] - mean_b, sum);
    } else {
        BT_UNROLL
        for (uint32_t i = index; i < n; i += BT_LANES) sum += a[i];
    }
    job->lane[index] = sum;
}

float bt_shared_product(bt_port *port, const float *a, float mean_a, const float *b, float mean_b, uint32_t n) {
    lane_job job = {.a = a, .b = b, .mean_a = mean_a, .mean_b = mean_b, .n = n};
    bt_port_parallel(port, lane_piece, &job, BT_LANES);
    return bt_fold_lanes(job.lane);
}
