"""How many instructions an operation takes on eight cores: what the busiest of them runs, set-up included.

Counted on the RISC-V image for every kind of operation in a training window of MI-BMInet and EpiDeNet (of EEGNet where
those have none), and fitted to a cost of each call and one of each value, or of each multiply-accumulate and output.
`python -m benchmarks.instruction_fit` counts, fits and says how far other networks are off; a network's own are counted
by `biotrain bench gap9`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from device_agent.compiler.ir import Op, Program
from device_agent.compiler.macs import count_op
from device_agent.compiler.traffic import runs

CORES = 8
CALL = 300.0
"""Of a call of what is not in the tables, and of convolutions: decoding, dealing out, waiting for the last piece."""
PER_VALUE = 12.0
"""Of each value of the largest operand, where nothing was counted."""

#: A channel is the work of one core.
BY_CHANNEL = {"decode_counts"}
#: Kind: instructions of a call, and of a value on one core.
BY_VALUE: dict[str, tuple[float, float]] = {
    "average_pool_backward": (300.00, 8.22),
    "average_pool_forward": (300.00, 10.14),
    "copy_ahead": (140.00, 0.00),
    "copy_start": (140.00, 0.00),
    "copy_wait": (90.00, 0.00),
    "cross_entropy": (134.00, 688.00),
    "decode_counts": (171.00, 12.18),
    "dropout_backward": (300.00, 41.43),
    "dropout_forward": (300.00, 41.24),
    "elu_backward": (300.00, 95.14),
    "elu_forward": (300.00, 350.62),
    "group_norm_backward_finish": (76.00, 96.00),
    "group_norm_finish": (52.00, 92.00),
    "linear_backward": (1076.17, 5.63),
    "linear_forward": (298.51, 13.89),
    "norm_apply": (300.00, 6.95),
    "norm_backward_apply": (300.00, 9.92),
    "norm_backward_sums": (300.00, 8.50),
    "norm_relu_pool_backward": (1608.71, 12.36),
    "norm_relu_pool_backward_sums": (5062.68, 6.29),
    "norm_relu_pool_forward": (1440.90, 6.68),
    "norm_row_statistics": (924.49, 7.31),
    "normed_weight_gradient": (739.73, 135.13),
    "sgd": (584.94, 15.07),
    "tap_covariance": (19555.00, 18.98),
    "tap_norm_sums": (300.00, 95.75),
    "zero": (52.00, 12.00),
}
#: Kind: instructions of a multiply-accumulate, and of an output (of a weight gradient: of a weight), on one core.
BY_PRODUCT: dict[str, tuple[float, float]] = {
    "conv2d_forward": (1.17, 8.01),
    "conv2d_input_gradient": (1.41, 0.00),
    "conv2d_weight_gradient": (1.24, 47.22),
    "staged_conv2d_forward": (2.35, 0.29),
    "staged_conv2d_weight_gradient": (3.02, 0.00),
}


def units(op: Op) -> tuple[int, int]:
    """Multiply-accumulates and outputs of a convolution, or 0 and the values of the largest operand."""
    if op.kind in BY_PRODUCT:
        return count_op(op), math.prod(op.outputs[0].shape)
    return 0, max((value.bytes // 4 for value in op.operands if value is not None), default=0)


def cores(op: Op) -> float:
    """How many have work: some operations are dealt out by whole channels."""
    if op.kind not in BY_CHANNEL:
        return CORES
    channels = max(value.shape[0] for value in op.operands if value is not None)
    return channels / -(-channels // CORES)


def path(op: Op) -> float:
    """Instructions one after the other of one run, eight cores sharing the work."""
    products, values = units(op)
    if op.kind in BY_PRODUCT:
        per_product, per_output = BY_PRODUCT[op.kind]
        return CALL + (per_product * products + per_output * values) / cores(op)
    call, per_value = BY_VALUE.get(op.kind, (CALL, PER_VALUE))
    return call + per_value * values / cores(op)


def by_layer(programs: Iterable[tuple[Program, float]]) -> dict[str, float]:
    """Of each layer, every program counted as often as it is given: 1 / batch for the optimiser's step."""
    found: dict[str, float] = {}
    for program, weight in programs:
        for op, times in runs(program):
            found[op.layer] = found.get(op.layer, 0.0) + weight * times * path(op)
    return found


def meetings(programs: Iterable[tuple[Program, float]]) -> float:
    """How often the cores meet: after each operation."""
    return sum(weight * times for program, weight in programs for _, times in runs(program))
