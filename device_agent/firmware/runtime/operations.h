/* The plan's operations: X(name, number, views, immediates, mask of the views that are written).
 * The numbers are part of the plan format: add at the end, never reuse. schemas/plan_operations.py holds
 * the same list with names for each operand; a test compares the two. */
#ifndef BIOTRAIN_OPERATIONS_H
#define BIOTRAIN_OPERATIONS_H

enum { BT_OP_END = 0, BT_OP_LOOP = 1, BT_OP_END_LOOP = 2, BT_OP_WINDOW = 3, BT_OP_FIRST_KERNEL = 8 };

#define BT_OPERATIONS(X)                                   \
    X(zero, 8, 1, 0, 0x01)                                 \
    X(copy, 9, 2, 0, 0x02)                                 \
    X(decode_counts, 10, 1, 0, 0x01)                       \
    X(mix_channels, 11, 3, 0, 0x04)                        \
    X(filter_sections, 12, 3, 0, 0x04)                     \
    X(scale_channels, 13, 4, 0, 0x08)                      \
    X(centre_channels, 14, 2, 0, 0x02)                     \
    X(conv2d_forward, 16, 4, 9, 0x08)                      \
    X(conv2d_weight_gradient, 17, 4, 9, 0x0c)              \
    X(conv2d_input_gradient, 18, 3, 9, 0x04)               \
    X(linear_forward, 19, 4, 0, 0x08)                      \
    X(linear_backward, 20, 6, 0, 0x38)                     \
    X(group_norm_forward, 22, 5, 2, 0x18)                  \
    X(group_norm_backward, 23, 7, 1, 0x70)                 \
    X(frozen_norm_forward, 24, 6, 1, 0x20)                 \
    X(frozen_norm_backward, 25, 8, 1, 0xe0)                \
    X(relu_forward, 26, 2, 0, 0x02)                        \
    X(relu_backward, 27, 3, 0, 0x04)                       \
    X(average_pool_forward, 28, 2, 4, 0x02)                \
    X(average_pool_backward, 29, 2, 4, 0x02)               \
    X(max_pool_forward, 30, 2, 4, 0x02)                    \
    X(max_pool_backward, 31, 3, 4, 0x04)                   \
    X(dropout_forward, 32, 2, 2, 0x02)                     \
    X(dropout_backward, 33, 2, 2, 0x02)                    \
    X(cross_entropy, 34, 3, 0, 0x06)                       \
    X(sgd, 35, 3, 0, 0x05)                                 \
    X(add, 36, 3, 0, 0x04)                                 \
    X(insert_slice, 37, 2, 2, 0x02)                        \
    X(extract_slice, 38, 2, 2, 0x02)                       \
    X(pad_forward, 39, 2, 2, 0x02)                         \
    X(pad_backward, 40, 2, 2, 0x02)                        \
    X(permute, 41, 2, 4, 0x02)                             \
    X(elu_forward, 42, 2, 1, 0x02)                         \
    X(elu_backward, 43, 3, 1, 0x04)                        \
    X(gelu_forward, 44, 2, 1, 0x02)                        \
    X(gelu_backward, 45, 3, 1, 0x04)                       \
    X(square_forward, 46, 2, 0, 0x02)                      \
    X(square_backward, 47, 3, 0, 0x04)                     \
    X(log_forward, 48, 2, 0, 0x02)                         \
    X(log_backward, 49, 3, 0, 0x04)                        \
    X(clamp_forward, 50, 2, 2, 0x02)                       \
    X(clamp_backward, 51, 3, 2, 0x04)                      \
    X(layer_norm_forward, 52, 5, 1, 0x18)                  \
    X(layer_norm_backward, 53, 7, 0, 0x70)                 \
    X(clipped_average_pool_forward, 54, 2, 7, 0x02)        \
    X(clipped_average_pool_backward, 55, 2, 7, 0x02)       \
    X(clipped_max_pool_forward, 56, 2, 7, 0x02)            \
    X(clipped_max_pool_backward, 57, 3, 7, 0x04)           \
    X(smoothed_cross_entropy, 58, 4, 1, 0x0c)              \
    X(adam, 59, 4, 1, 0x0d)                                \
    X(tanh_forward, 60, 2, 0, 0x02)                        \
    X(tanh_backward, 61, 3, 0, 0x04)                       \
    X(batch_norm_forward, 62, 5, 1, 0x18)                  \
    X(batch_norm_backward, 63, 7, 0, 0x70)                 \
    X(batch_norm_track, 64, 3, 2, 0x06)                    \
    X(norm_row_statistics, 65, 2, 0, 0x02)                 \
    X(group_norm_finish, 66, 2, 3, 0x02)                   \
    X(norm_apply, 67, 5, 0, 0x10)                          \
    X(norm_backward_sums, 68, 4, 0, 0x08)                  \
    X(group_norm_backward_finish, 69, 6, 2, 0x38)          \
    X(norm_backward_apply, 70, 6, 0, 0x20)                 \
    X(tap_covariance, 71, 3, 11, 0x06)                     \
    X(normed_weight_gradient, 72, 8, 1, 0x80)              \
    X(active_sums, 73, 5, 4, 0x18)                         \
    X(pooled_norm_sums, 74, 4, 4, 0x08)                    \
    X(norm_relu_pool_forward, 75, 5, 1, 0x10)              \
    X(norm_relu_pool_backward_sums, 76, 7, 1, 0x60)        \
    X(norm_relu_pool_backward, 77, 7, 1, 0x40)             \
    X(narrow_bf16, 78, 2, 0, 0x03)                         \
    X(widen_bf16, 79, 2, 0, 0x02)                          \
    X(narrow_counts, 80, 3, 0, 0x06)                       \
    X(widen_counts, 81, 3, 0, 0x04)                        \
    X(tap_norm_sums, 82, 5, 0, 0x10)                       \
    X(copy_start, 83, 2, 0, 0x02)                          \
    X(copy_ahead, 84, 2, 0, 0x02)                          \
    X(copy_wait, 85, 1, 0, 0x00)                           \
    X(staged_conv2d_forward, 86, 5, 9, 0x18)               \
    X(staged_conv2d_weight_gradient, 87, 5, 9, 0x1c)

#define BT_NUMBER_OF(name, number, views, immediates, writes) BT_NUMBER_##name = (number),
enum { BT_OPERATIONS(BT_NUMBER_OF) BT_NUMBERS_END };
#undef BT_NUMBER_OF

#endif
