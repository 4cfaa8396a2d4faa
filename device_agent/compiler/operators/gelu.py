"""Gaussian error linear unit (Hendrycks and Gimpel, 2016), exact and in its tanh form."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    y = call.result()
    form = call.arguments.get("approximate", "none")
    call.run("gelu_forward", call.arguments["self"], y, tanh=int(form == "tanh"))
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("gelu_backward", b.gradient(y), x, b.new(x), of=op, attributes=op.attributes)


OPERATOR = Operator(captures={"aten.gelu.default": _capture}, backward={"gelu_forward": _backward})
