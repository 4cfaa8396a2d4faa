"""Layer norm (Ba et al., 2016) over the last dimensions of each window."""

from __future__ import annotations

import math

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator, scalars


def _capture(call: Call) -> Value:
    given = call.arguments
    gamma, beta = given.get("weight"), given.get("bias")
    if gamma is None or beta is None:
        raise call.refuse("a norm without affine parameters is not supported: use elementwise_affine=True, bias=True")
    y, rows = call.result(), math.prod(call.shape) // math.prod(gamma.shape)
    statistics = scalars(f"{call.layer}.statistics", 2 * rows)
    call.run("layer_norm_forward", given["input"], gamma, beta, statistics, y, eps=float(given.get("eps", 1e-5)))
    return y


def _backward(op: Op, b: Backward) -> None:
    x, gamma = op.operand("x"), op.operand("gamma")
    b.emit(
        "layer_norm_backward",
        b.gradient(op.operand("y")),
        x,
        op.operand("statistics"),
        gamma,
        b.new(x),
        b.accumulator_or_scratch(gamma),
        b.accumulator_or_scratch(op.operand("beta")),
        of=op,
    )


OPERATOR = Operator(captures={"aten.layer_norm.default": _capture}, backward={"layer_norm_forward": _backward})
