"""What a plan can ask for: every operation's number, its operands and its immediates.

`device_agent/firmware/runtime/operations.h` holds the same list for the device; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

END, LOOP, END_LOOP, WINDOW = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Operation:
    """`operands` in the order of the instruction; those in `writes` are changed, `optional` ones may be absent."""

    number: int
    operands: tuple[str, ...]
    writes: tuple[str, ...]
    integers: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    """Immediates: the integers, then the floats."""
    optional: tuple[str, ...] = ()
    in_place: tuple[str, str] | None = None
    """(input, output) that may be the same memory."""
    also_in_place: tuple[str, str] | None = None
    """Another such pair."""


_CONV = ("stride_h", "stride_w", "top", "bottom", "left", "right", "dilation_h", "dilation_w", "groups")
_POOL = ("kernel_h", "kernel_w", "stride_h", "stride_w")
_CLIPPED = (*_POOL, "top", "left", "count_padding")

OPERATIONS: dict[str, Operation] = {
    "zero": Operation(8, ("x",), ("x",)),
    "copy": Operation(9, ("source", "target"), ("target",)),
    "decode_counts": Operation(10, ("y",), ("y",)),
    "mix_channels": Operation(11, ("x", "matrix", "y"), ("y",)),
    "filter_sections": Operation(12, ("x", "sections", "y"), ("y",), in_place=("x", "y")),
    "scale_channels": Operation(13, ("x", "offset", "gain", "y"), ("y",), in_place=("x", "y")),
    "centre_channels": Operation(14, ("x", "y"), ("y",), in_place=("x", "y")),
    "conv2d_forward": Operation(16, ("x", "weight", "bias", "y"), ("y",), _CONV, optional=("bias",)),
    "conv2d_weight_gradient": Operation(
        17, ("x", "dy", "dweight", "dbias"), ("dweight", "dbias"), _CONV, optional=("dbias",)
    ),
    "conv2d_input_gradient": Operation(18, ("dy", "weight", "dx"), ("dx",), _CONV),
    "linear_forward": Operation(19, ("x", "weight", "bias", "y"), ("y",), optional=("bias",)),
    "linear_backward": Operation(
        20,
        ("x", "dy", "weight", "dweight", "dbias", "dx"),
        ("dweight", "dbias", "dx"),
        optional=("x", "weight", "dweight", "dbias", "dx"),
        in_place=("x", "dx"),
    ),
    "group_norm_forward": Operation(
        22, ("x", "gamma", "beta", "statistics", "y"), ("statistics", "y"), ("groups",), ("eps",), in_place=("x", "y")
    ),
    "group_norm_backward": Operation(
        23,
        ("dy", "x", "statistics", "gamma", "dx", "dgamma", "dbeta"),
        ("dx", "dgamma", "dbeta"),
        ("groups",),
        in_place=("dy", "dx"),
    ),
    "frozen_norm_forward": Operation(
        24, ("x", "mean", "variance", "gamma", "beta", "y"), ("y",), (), ("eps",), in_place=("x", "y")
    ),
    "frozen_norm_backward": Operation(
        25,
        ("dy", "x", "mean", "variance", "gamma", "dx", "dgamma", "dbeta"),
        ("dx", "dgamma", "dbeta"),
        (),
        ("eps",),
        in_place=("dy", "dx"),
    ),
    "relu_forward": Operation(26, ("x", "y"), ("y",), in_place=("x", "y")),
    "relu_backward": Operation(27, ("dy", "y", "dx"), ("dx",), in_place=("dy", "dx"), also_in_place=("y", "dx")),
    "average_pool_forward": Operation(28, ("x", "y"), ("y",), _POOL),
    "average_pool_backward": Operation(29, ("dy", "dx"), ("dx",), _POOL),
    "max_pool_forward": Operation(30, ("x", "y"), ("y",), _POOL),
    "max_pool_backward": Operation(31, ("dy", "x", "dx"), ("dx",), _POOL),
    "dropout_forward": Operation(32, ("x", "y"), ("y",), ("stream",), ("p",), in_place=("x", "y")),
    "dropout_backward": Operation(33, ("dy", "dx"), ("dx",), ("stream",), ("p",), in_place=("dy", "dx")),
    "cross_entropy": Operation(34, ("logits", "loss", "dlogits"), ("loss", "dlogits")),
    "sgd": Operation(35, ("weight", "gradient", "momentum"), ("weight", "momentum")),
    "add": Operation(36, ("a", "b", "y"), ("y",), in_place=("a", "y")),
    "insert_slice": Operation(37, ("x", "y"), ("y",), ("rows", "at")),
    "extract_slice": Operation(38, ("x", "y"), ("y",), ("rows", "at")),
    "pad_forward": Operation(39, ("x", "y"), ("y",), ("top", "left")),
    "pad_backward": Operation(40, ("dy", "dx"), ("dx",), ("top", "left")),
    "permute": Operation(41, ("x", "y"), ("y",), ("first", "second", "third", "fourth")),
    "elu_forward": Operation(42, ("x", "y"), ("y",), (), ("alpha",), in_place=("x", "y")),
    "elu_backward": Operation(
        43, ("dy", "y", "dx"), ("dx",), (), ("alpha",), in_place=("dy", "dx"), also_in_place=("y", "dx")
    ),
    "gelu_forward": Operation(44, ("x", "y"), ("y",), ("tanh",), in_place=("x", "y")),
    "gelu_backward": Operation(
        45, ("dy", "x", "dx"), ("dx",), ("tanh",), in_place=("dy", "dx"), also_in_place=("x", "dx")
    ),
    "square_forward": Operation(46, ("x", "y"), ("y",), in_place=("x", "y")),
    "square_backward": Operation(47, ("dy", "x", "dx"), ("dx",), in_place=("dy", "dx"), also_in_place=("x", "dx")),
    "log_forward": Operation(48, ("x", "y"), ("y",), in_place=("x", "y")),
    "log_backward": Operation(49, ("dy", "x", "dx"), ("dx",), in_place=("dy", "dx"), also_in_place=("x", "dx")),
    "clamp_forward": Operation(50, ("x", "y"), ("y",), (), ("low", "high"), in_place=("x", "y")),
    "clamp_backward": Operation(
        51, ("dy", "x", "dx"), ("dx",), (), ("low", "high"), in_place=("dy", "dx"), also_in_place=("x", "dx")
    ),
    "layer_norm_forward": Operation(
        52, ("x", "gamma", "beta", "statistics", "y"), ("statistics", "y"), (), ("eps",), in_place=("x", "y")
    ),
    "layer_norm_backward": Operation(
        53,
        ("dy", "x", "statistics", "gamma", "dx", "dgamma", "dbeta"),
        ("dx", "dgamma", "dbeta"),
        in_place=("dy", "dx"),
    ),
    "clipped_average_pool_forward": Operation(54, ("x", "y"), ("y",), _CLIPPED),
    "clipped_average_pool_backward": Operation(55, ("dy", "dx"), ("dx",), _CLIPPED),
    "clipped_max_pool_forward": Operation(56, ("x", "y"), ("y",), _CLIPPED),
    "clipped_max_pool_backward": Operation(57, ("dy", "x", "dx"), ("dx",), _CLIPPED),
    "smoothed_cross_entropy": Operation(
        58,
        ("logits", "class_weights", "loss", "dlogits"),
        ("loss", "dlogits"),
        (),
        ("smoothing",),
        optional=("class_weights",),
    ),
    "adam": Operation(59, ("weight", "gradient", "first", "second"), ("weight", "first", "second"), ("decoupled",)),
    "tanh_forward": Operation(60, ("x", "y"), ("y",), in_place=("x", "y")),
    "tanh_backward": Operation(61, ("dy", "y", "dx"), ("dx",), in_place=("dy", "dx"), also_in_place=("y", "dx")),
    "batch_norm_forward": Operation(
        62, ("x", "gamma", "beta", "statistics", "y"), ("statistics", "y"), (), ("eps",), in_place=("x", "y")
    ),
    "batch_norm_backward": Operation(
        63,
        ("dy", "x", "statistics", "gamma", "dx", "dgamma", "dbeta"),
        ("dx", "dgamma", "dbeta"),
        in_place=("dy", "dx"),
    ),
    "batch_norm_track": Operation(
        64, ("statistics", "mean", "variance"), ("mean", "variance"), ("count",), ("momentum",)
    ),
    # group norm in sweeps, for a tensor whose channels come and go in a loop
    "norm_row_statistics": Operation(65, ("x", "rows"), ("rows",)),
    "group_norm_finish": Operation(
        66, ("rows", "statistics"), ("statistics",), ("groups", "count"), ("eps",), in_place=("rows", "statistics")
    ),
    "norm_apply": Operation(67, ("x", "statistics", "gamma", "beta", "y"), ("y",), in_place=("x", "y")),
    "norm_backward_sums": Operation(68, ("dy", "x", "statistics", "sums"), ("sums",)),
    "group_norm_backward_finish": Operation(
        69,
        ("sums", "statistics", "gamma", "means", "dgamma", "dbeta"),
        ("means", "dgamma", "dbeta"),
        ("groups", "count"),
    ),
    "norm_backward_apply": Operation(
        70,
        ("dy", "x", "statistics", "means", "gamma", "dx"),
        ("dx",),
        in_place=("dy", "dx"),
        also_in_place=("x", "dx"),
    ),
    # the first layer in front of such a norm
    "tap_covariance": Operation(
        71, ("x", "sums", "covariance"), ("sums", "covariance"), (*_CONV, "kernel_h", "kernel_w")
    ),
    "normed_weight_gradient": Operation(
        72,
        ("p", "weight", "sums", "covariance", "statistics", "means", "gamma", "dweight"),
        ("dweight",),
        ("positions",),
    ),
    # copies between memory levels that run beside the work
    "copy_start": Operation(83, ("source", "target"), ("target",)),
    "copy_ahead": Operation(84, ("source", "target"), ("target",)),
    "copy_wait": Operation(85, ("x",), ()),
    # convolutions whose input comes from L2 in stretches; `stage`: room for two of them
    "staged_conv2d_forward": Operation(
        86, ("x", "weight", "bias", "y", "stage"), ("y", "stage"), _CONV, optional=("bias",)
    ),
    "staged_conv2d_weight_gradient": Operation(
        87, ("x", "dy", "dweight", "dbias", "stage"), ("dweight", "dbias", "stage"), _CONV, optional=("dbias",)
    ),
    "tap_norm_sums": Operation(82, ("p", "plain", "weight", "statistics", "sums"), ("sums",)),
    # ReLU and average pool behind such a norm
    "active_sums": Operation(73, ("x", "statistics", "y", "active", "counts"), ("active", "counts"), _POOL),
    "pooled_norm_sums": Operation(74, ("dy", "active", "counts", "sums"), ("sums",), _POOL),
    # group norm, ReLU and average pool in one sweep; g: the gradient behind the norm
    "norm_relu_pool_forward": Operation(
        75, ("x", "statistics", "gamma", "beta", "y"), ("y",), ("cell",), in_place=("x", "y")
    ),
    "norm_relu_pool_backward_sums": Operation(
        76,
        ("dy", "x", "statistics", "gamma", "beta", "sums", "g"),
        ("sums", "g"),
        ("cell",),
        optional=("g",),
        in_place=("x", "g"),
    ),
    "norm_relu_pool_backward": Operation(
        77,
        ("dy", "x", "statistics", "means", "gamma", "beta", "dx"),
        ("dx",),
        ("cell",),
        in_place=("x", "dx"),
        also_in_place=("dy", "dx"),
    ),
    # narrow storage: x is rounded, too, so that everything behind sees the same values
    "narrow_bf16": Operation(78, ("x", "y"), ("x", "y")),
    "widen_bf16": Operation(79, ("x", "y"), ("y",)),
    "narrow_counts": Operation(80, ("x", "scale", "y"), ("scale", "y")),
    "widen_counts": Operation(81, ("x", "scale", "y"), ("y",)),
}
