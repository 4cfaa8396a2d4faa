"""Squares, as ShallowConvNet computes power with them."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _square(call: Call, x: Value) -> Value:
    y = call.result()
    call.run("square_forward", x, y)
    return y


def _capture_square(call: Call) -> Value:
    return _square(call, call.arguments["self"])


def _capture_power(call: Call) -> Value:
    if call.arguments["exponent"] != 2:
        raise call.refuse(f"power {call.arguments['exponent']} is not supported: only squares are")
    return _square(call, call.arguments["self"])


def _capture_product(call: Call) -> Value:
    if not isinstance(call.arguments["self"], Value) or call.arguments["self"] is not call.arguments["other"]:
        raise call.refuse("products are supported of a tensor with itself only (squares)")
    return _square(call, call.arguments["self"])


def _backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("square_backward", b.gradient(y), x, b.new(x), of=op)


OPERATOR = Operator(
    captures={
        "aten.square.default": _capture_square,
        "aten.pow.Tensor_Scalar": _capture_power,
        "aten.mul.Tensor": _capture_product,
    },
    backward={"square_forward": _backward},
)
