"""What only changes how a tensor is seen."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _capture_reshape(call: Call) -> Value:
    x = call.arguments["self"]
    y = x.reshaped(call.layer or call.target, call.shape)
    call.emit(Op(RESHAPE, (x, y), {}, call.layer))
    return y


def _reshape_backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    dy = b.gradient(y)
    b.gradients[x] = dy.reshaped(f"d_{x.name}", x.shape)
    b.emit(RESHAPE, dy, b.gradients[x], of=op)


OPERATOR = Operator(
    captures={
        "aten.flatten.using_ints": _capture_reshape,
        "aten.view.default": _capture_reshape,
        "aten.reshape.default": _capture_reshape,
        "aten.squeeze.dim": _capture_reshape,
        "aten.unsqueeze.default": _capture_reshape,
    },
    backward={RESHAPE: _reshape_backward},
)
