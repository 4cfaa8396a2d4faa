"""Zero padding: taken over by the convolution behind it (normalise.py), never run."""

from __future__ import annotations

from device_agent.compiler.ir import PAD, Op, Value
from device_agent.compiler.operators.base import Call, Operator


def _capture(call: Call) -> Value:
    sides = [*call.arguments["pad"], 0, 0]
    if call.arguments.get("mode", "constant") != "constant" or call.arguments.get("value"):
        raise call.refuse("only padding with zeros is supported")
    if len(sides) > 6 or len(call.shape) != 3:
        raise call.refuse("padding is supported over height and width of [N, C, H, W]")
    y = call.result()
    names = ("left", "right", "top", "bottom")
    call.emit(Op(PAD, (call.arguments["self"], y), dict(zip(names, sides[:4], strict=True)), call.layer))
    return y


OPERATOR = Operator(captures={"aten.pad.default": _capture, "aten.constant_pad_nd.default": _capture})
