"""Multiply-accumulates of a program, with everything that its loops repeat."""

from __future__ import annotations

from dataclasses import dataclass

from device_agent.compiler.ir import END_LOOP, LOOP, Graph, Op, Program
from device_agent.compiler.operators import MACS


@dataclass(frozen=True, slots=True)
class Macs:
    """Of one window."""

    forward: int = 0
    """Everything that is computed forward, also what is computed again."""
    weight_gradient: int = 0
    input_gradient: int = 0

    @property
    def backward(self) -> int:
        return self.weight_gradient + self.input_gradient


def count_macs(program: Program) -> Macs:
    """Multiply-accumulates of a training window, with those of what is computed again."""
    forward = weight_gradient = input_gradient = 0
    times = [1]
    for op in program:
        if op.kind == LOOP:  # a batch's windows are counted once
            times.append(times[-1] * (1 if op.attributes["windows"] else int(op.attributes["rounds"])))
        elif op.kind == END_LOOP:
            times.pop()
        elif op.kind == "linear_backward":
            both = op.optional("dweight") is not None and op.optional("weight") is not None
            share = times[-1] * count_op(op) // (2 if both else 1)
            weight_gradient += share if op.optional("dweight") is not None else 0
            input_gradient += share if op.optional("weight") is not None else 0
        elif op.kind.endswith("_input_gradient"):
            input_gradient += times[-1] * count_op(op)
        elif op.kind.endswith("_weight_gradient") or op.kind in ("tap_covariance", "tap_norm_sums"):
            weight_gradient += times[-1] * count_op(op)
        else:
            forward += times[-1] * count_op(op)
    return Macs(forward, weight_gradient, input_gradient)


def forward_macs(graph: Graph) -> int:
    """Of one window, everything once."""
    return sum(count_op(op) for op in graph.ops)


def count_op(op: Op) -> int:
    """Multiply-accumulates of one operation; those without multiplications of weights or taps count none."""
    if op.kind == "tap_covariance":
        taps = op.operand("covariance").shape[0]
        return taps * (taps + 1) // 2 * _positions(op)
    if op.kind == "tap_norm_sums":
        return op.operand("weight").bytes // 4
    if op.kind == "normed_weight_gradient":
        return op.operand("weight").bytes // 4 * op.operand("covariance").shape[0]
    return MACS[op.kind](op) if op.kind in MACS else 0


def _positions(op: Op) -> int:
    """Outputs of the convolution whose attributes these are, of one channel."""
    _, height, width = op.operand("x").shape
    a = op.attributes
    rows = (height + a["top"] + a["bottom"] - a["dilation_h"] * (a["kernel_h"] - 1) - 1) // a["stride_h"] + 1
    columns = (width + a["left"] + a["right"] - a["dilation_w"] * (a["kernel_w"] - 1) - 1) // a["stride_w"] + 1
    return int(rows * columns)
