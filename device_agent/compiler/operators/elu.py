"""Exponential linear unit (Clevert et al., ICLR 2016)."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    given = call.arguments
    if given.get("scale", 1) != 1 or given.get("input_scale", 1) != 1:
        raise call.refuse("scaled ELU (SELU, CELU) is not supported: use ELU")
    if float(given.get("alpha", 1.0)) <= 0:
        raise call.refuse("ELU needs alpha > 0")
    y = call.result()
    call.run("elu_forward", given["self"], y, alpha=float(given.get("alpha", 1.0)))
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("elu_backward", b.gradient(y), y, b.new(x), of=op, attributes=op.attributes)


OPERATOR = Operator(
    captures={"aten.elu.default": _capture, "aten.elu_.default": _capture}, backward={"elu_forward": _backward}
)
