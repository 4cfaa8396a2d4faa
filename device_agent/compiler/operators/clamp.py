"""Values held between two bounds: the guard in front of a logarithm."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator

_LARGEST = 3.4028234663852886e38


def _capture(call: Call) -> Value:
    low, high = call.arguments.get("min"), call.arguments.get("max")
    if isinstance(low, Value) or isinstance(high, Value):
        raise call.refuse("clamp is supported with numbers as bounds, not with tensors")
    y = call.result()
    bounds = {"low": -_LARGEST if low is None else float(low), "high": _LARGEST if high is None else float(high)}
    call.run("clamp_forward", call.arguments["self"], y, **bounds)
    return y


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("clamp_backward", b.gradient(y), x, b.new(x), of=op, attributes=op.attributes)


OPERATOR = Operator(
    captures={
        "aten.clamp.default": _capture,
        "aten.clamp_min.default": _capture,
        "aten.clamp_max.default": _capture,
    },
    backward={"clamp_forward": _backward},
)
