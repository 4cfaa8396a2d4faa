"""Dropout. Its mask follows from a specified generator (docs/arithmetic.md); inference leaves it out."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    y = call.result()
    call.emit(
        Op("dropout_forward", (call.arguments["input"], y), {"stream": 0, "p": float(call.arguments["p"])}, call.layer)
    )
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("dropout_backward", b.gradient(y), b.new(x), of=op, attributes=op.attributes)


OPERATOR = Operator(captures={"aten.dropout.default": _capture}, backward={"dropout_forward": _backward})
