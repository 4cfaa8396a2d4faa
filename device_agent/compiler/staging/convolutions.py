"""Convolutions whose input comes to L1 stretch by stretch of its positions (kernels/conv_staged.h)."""

from __future__ import annotations

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.staging.stretches import PART
from schemas.plan import Region, ValueType

#: Those that have such a form: where their output's maps and their weights are.
_STRETCHED = {"conv2d_forward": ("y", "weight"), "conv2d_weight_gradient": ("dy", "dweight")}
#: Stretches are whole tiles of so many positions; a tensor comes in at least two and at most so many of them.
_TILE, _MOST_STRETCHES = 8, 32
#: Weights whose sums a weight gradient keeps from stretch to stretch.
_KEPT_SUMS = 64


def lengths(op: Op) -> list[int]:
    """In how long stretches its input can come, longest first; none where it cannot."""
    if op.kind not in _STRETCHED:
        return []
    x, (maps, weights) = op.operand("x"), (op.operand(name) for name in _STRETCHED[op.kind])
    a = op.attributes
    outputs, channels, height, width = weights.shape
    plain = a["groups"] == a["stride_h"] == a["stride_w"] == width == 1
    plain = plain and not (a["top"] or a["bottom"] or a["left"] or a["right"])
    plain = plain and (height == 1 or (height == x.shape[1] and a["dilation_h"] == 1))
    products, positions = channels * height, maps.shape[1] * maps.shape[2]
    if not plain or products % 4 or outputs % 4 or positions < 2 * 32 or x.storage.region is not Region.ARENA:
        return []
    if x.step or x.type is not ValueType.F32 or x.bytes < PART:
        return []
    if op.kind == "conv2d_weight_gradient" and weights.bytes > 4 * _KEPT_SUMS:
        return []
    tried = (-(-positions // n // _TILE) * _TILE for n in range(2, _MOST_STRETCHES))
    return [n for n in dict.fromkeys(tried) if positions % n == 0 or positions % n >= _TILE]


def in_stretches(op: Op, positions: int) -> Op:
    """The form that has room for two stretches."""
    weights = op.operand(_STRETCHED[op.kind][1])
    products = weights.bytes // 4 // weights.shape[0]
    room = Value.new("stage", (2 * positions * products,), Region.L1)
    return Op(f"staged_{op.kind}", (*op.operands, room), op.attributes, op.layer)
