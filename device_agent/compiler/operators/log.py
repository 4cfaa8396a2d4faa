"""Natural logarithm."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    y = call.result()
    call.run("log_forward", call.arguments["self"], y)
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("log_backward", b.gradient(y), x, b.new(x), of=op)


OPERATOR = Operator(captures={"aten.log.default": _capture}, backward={"log_forward": _backward})
