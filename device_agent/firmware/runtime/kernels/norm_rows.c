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
