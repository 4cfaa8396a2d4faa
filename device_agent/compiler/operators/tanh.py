"""Hyperbolic tangent."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    y = call.result()
    call.run("tanh_forward", call.arguments["self"], y)
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("tanh_backward", b.gradient(y), y, b.new(x), of=op)


OPERATOR = Operator(
    captures={"aten.tanh.default": _capture, "aten.tanh_.default": _capture}, backward={"tanh_forward": _backward}
)
