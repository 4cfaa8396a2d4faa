"""Convolution over [channels, height, width], and over [channels, time] seen as a map of height 1."""

from __future__ import annotations

import math

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator, as_map, pair


def _capture(call: Call) -> Value:
    given = call.arguments
    weight, one_dimensional = given["weight"], len(given["input"].shape) == 2
    x = as_map(call, given["input"])
    if one_dimensional:
        weight = call.view(weight, (*weight.shape[:2], 1, weight.shape[2]))

    def sides(name: str, default: int) -> tuple[int, int]:
        """For height and width."""
        value = given.get(name, default)
        if not one_dimensional:
            return pair(value)
        return default, value if isinstance(value, int) else int(value[0])

    stride, dilation, padding = sides("stride", 1), sides("dilation", 1), given.get("padding", 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        before, after = [t // 2 for t in total], [t - t // 2 for t in total]
    else:
        before = after = [0, 0] if padding == "valid" else list(sides("padding", 0))
    y = call.result()
    if one_dimensional:
        y = Value.new(y.name, (y.shape[0], 1, y.shape[1]))
    call.run(
        "conv2d_forward",
        x,
        weight,
        given.get("bias"),
        y,
        stride_h=stride[0],
        stride_w=stride[1],
        top=before[0],
        bottom=after[0],
        left=before[1],
        right=after[1],
        dilation_h=dilation[0],
        dilation_w=dilation[1],
        groups=given.get("groups", 1),
    )
    return call.view(y, call.shape)


def _backward(op: Op, b: Backward) -> None:
    x, weight, bias, y = op.operand("x"), op.operand("weight"), op.optional("bias"), op.operand("y")
    settings = dict(op.attributes)
    if b.accumulator(weight) or b.accumulator(bias):
        accumulators = (b.accumulator_or_scratch(weight), b.accumulator(bias))
        b.emit("conv2d_weight_gradient", x, b.gradient(y), *accumulators, of=op, attributes=settings)
    if x in b.wanted:
        b.emit("conv2d_input_gradient", b.gradient(y), weight, b.new(x), of=op, attributes=settings)


def _count(op: Op) -> int:
    """Every output sums over one kernel; taps that fall into padding are counted too."""
    weight, output = {
        "conv2d_forward": ("weight", "y"),
        "conv2d_weight_gradient": ("dweight", "dy"),
        "staged_conv2d_forward": ("weight", "y"),
        "staged_conv2d_weight_gradient": ("dweight", "dy"),
        "conv2d_input_gradient": ("weight", "dy"),
    }[op.kind]
    return math.prod(op.operand(output).shape) * math.prod(op.operand(weight).shape[1:])


OPERATOR = Operator(
    captures=dict.fromkeys(
        ("aten.conv2d.default", "aten.conv2d.padding", "aten.conv1d.default", "aten.conv1d.padding"), _capture
    ),
    backward={"conv2d_forward": _backward},
    macs=dict.fromkeys(
        (
            *("conv2d_forward", "conv2d_weight_gradient", "conv2d_input_gradient"),
            *("staged_conv2d_forward", "staged_conv2d_weight_gradient"),
        ),
        _count,
    ),
)
