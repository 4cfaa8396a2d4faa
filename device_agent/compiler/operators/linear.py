"""Fully connected layer over the last dimension."""

from __future__ import annotations

import math

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    x, weight, bias = call.arguments["input"], call.arguments["weight"], call.arguments.get("bias")
    y = call.result()
    call.emit(Op("linear_forward", (x, weight, bias, y), {}, call.layer))
    return y


def _backward(op: Op, b: Backward) -> None:
    x, weight, bias, y = op.operand("x"), op.operand("weight"), op.optional("bias"), op.operand("y")
    if b.accumulator(weight) or b.accumulator(bias):
        accumulators = (b.accumulator_or_scratch(weight), b.accumulator(bias))
        b.emit("linear_weight_gradient", x, b.gradient(y), *accumulators, of=op)
    if x in b.wanted:
        b.emit("linear_input_gradient", b.gradient(y), weight, b.new(x), of=op)


def _count(op: Op) -> int:
    weight = op.operand("dweight" if op.kind == "linear_weight_gradient" else "weight")
    output = op.operand("y" if op.kind == "linear_forward" else "dy")
    return math.prod(output.shape) * weight.shape[1]


OPERATOR = Operator(
    captures={"aten.linear.default": _capture},
    backward={"linear_forward": _backward},
    macs=dict.fromkeys(("linear_forward", "linear_weight_gradient", "linear_input_gradient"), _count),
)
