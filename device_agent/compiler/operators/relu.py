"""Rectified linear unit."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    y = call.result()
    call.emit(Op("relu_forward", (call.arguments["self"], y), {}, call.layer))
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("relu_backward", b.gradient(y), y, b.new(x), of=op)


OPERATOR = Operator(
    captures={"aten.relu.default": _capture, "aten.relu_.default": _capture},
    backward={"relu_forward": _backward},
)
