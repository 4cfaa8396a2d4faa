"""What only changes how a tensor is seen."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture_reshape(call: Call) -> Value:
    x = call.arguments["self"]
    y = x.reshaped(call.layer or call.target, call.shape)
    call.run(RESHAPE, x, y)
    return y


def _capture_same(call: Call) -> Value:
    value: Value = call.arguments["self"] if "self" in call.arguments else call.arguments["input"]
    return value


def _reshape_backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    dy = b.gradient(y)
    dx = dy.reshaped(f"d_{x.name}", x.shape)
    b.emit(RESHAPE, dy, dx, of=op)
    b.give(x, dx)


OPERATOR = Operator(
    captures={
        "aten.flatten.using_ints": _capture_reshape,
        "aten.view.default": _capture_reshape,
        "aten.reshape.default": _capture_reshape,
        "aten.squeeze.dim": _capture_reshape,
        "aten.squeeze.dims": _capture_reshape,
        "aten.squeeze.default": _capture_reshape,
        "aten.unsqueeze.default": _capture_reshape,
        "aten.unflatten.int": _capture_reshape,
        **dict.fromkeys(("aten.contiguous.default", "aten.clone.default", "aten.alias.default"), _capture_same),
    },
    backward={RESHAPE: _reshape_backward},
)
