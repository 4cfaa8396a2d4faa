"""Sum of two tensors of one shape: residual connections."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture(call: Call) -> Value:
    a, b = call.arguments["self"], call.arguments["other"]
    if not isinstance(a, Value) or not isinstance(b, Value):
        raise call.refuse("adding a constant is not supported: give the layer before it a bias")
    if a.shape != b.shape:
        raise call.refuse(f"adding shapes {a.shape} and {b.shape} is not supported: make them equal first")
    if call.arguments.get("alpha", 1) != 1:
        raise call.refuse("add with alpha is not supported: only a + b")
    y = call.result()
    call.run("add", a, b, y)
    return y


def _backward(op: Op, b: Backward) -> None:
    dy = b.gradient(op.operand("y"))
    for name in ("a", "b"):
        if op.operand(name) in b.wanted:
            b.give(op.operand(name), dy)


OPERATOR = Operator(
    captures={"aten.add.Tensor": _capture, "aten.add_.Tensor": _capture},
    backward={"add": _backward},
)
