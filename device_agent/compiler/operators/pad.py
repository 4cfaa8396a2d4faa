"""Zero padding: taken over by the convolution behind it (normalise.py), an operation elsewhere."""

from __future__ import annotations

from device_agent.compiler.ir import PAD, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator, as_map


def _capture(call: Call) -> Value:
    sides = [*call.arguments["pad"], 0, 0]
    if call.arguments.get("mode", "constant") != "constant" or call.arguments.get("value"):
        raise call.refuse("only padding with zeros is supported")
    if min(sides) < 0:
        raise call.refuse("negative padding is not supported: cut with a slice")
    if len(sides) > 6 or len(call.shape) not in (2, 3):
        raise call.refuse("padding is supported over height and width of [N, C, H, W], and over time of [N, C, T]")
    if len(call.shape) == 2 and any(sides[2:]):
        raise call.refuse("padding of the channels of [N, C, T] is not supported: concatenate zeros")
    x = as_map(call, call.arguments["self"])
    shape = (x.shape[0], x.shape[1] + sides[2] + sides[3], x.shape[2] + sides[0] + sides[1])
    y = Value.new(call.layer or "padded", shape)
    call.run(PAD, x, y, left=sides[0], right=sides[1], top=sides[2], bottom=sides[3])
    return call.view(y, call.shape)


def _backward(op: Op, b: Backward) -> None:
    b.emit("pad_backward", b.gradient(op.operand("y")), b.new(op.operand("x")), of=op, attributes=op.attributes)


OPERATOR = Operator(
    captures={"aten.pad.default": _capture, "aten.constant_pad_nd.default": _capture},
    backward={"pad_forward": _backward},
)
