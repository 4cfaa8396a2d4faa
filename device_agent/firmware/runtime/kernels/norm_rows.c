/* The sums that all norms are made of: value i goes to lane i mod 8, in order; then the lanes are folded. */
#include "norm_rows.h"

float bt_row_sum(const float *x, uint32_t n) { return bt_sum(x, n); }

float bt_centred_product(const float *a, float mean_a, const float *b, float mean_b, uint32_t n) {
    float lane[BT_LANES] = {0};
    uint32_t i = 0;
    for (; i + BT_LANES <= n; i += BT_LANES)
        for (uint32_t j = 0; j < BT_LANES; j++) lane[j] = fmaf(a[i + j] - mean_a, b[i + j] - mean_b, lane[j]);
    for (uint32_t j = 0; i + j < n; j++) lane[j] = fmaf(a[i + j] - mean_a, b[i + j] - mean_b, lane[j]);
    return bt_fold_lanes(lane);
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
