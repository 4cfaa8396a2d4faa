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
    dweight, dbias, dx = b.accumulator(weight), b.accumulator(bias), b.new(x) if x in b.wanted else None
    if dweight or dbias or dx:
        reads = (x if dweight else None, b.gradient(y), weight if dx else None)
        b.emit("linear_backward", *reads, dweight, dbias, dx, of=op)


def _forward_products(op: Op) -> int:
    return math.prod(op.operand("y").shape) * op.operand("weight").shape[1]


def _backward_products(op: Op) -> int:
    both = (op.optional("dweight"), op.optional("weight"))
    return sum(math.prod(op.operand("dy").shape) * weight.shape[1] for weight in both if weight is not None)


OPERATOR = Operator(
    captures={"aten.linear.default": _capture},
    backward={"linear_forward": _backward},
    macs={"linear_forward": _forward_products, "linear_backward": _backward_products},
)
