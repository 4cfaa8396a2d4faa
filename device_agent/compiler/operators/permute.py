"""Dimensions in another order."""

from __future__ import annotations

from device_agent.compiler.ir import Number, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator

_NAMES = ("first", "second", "third", "fourth")


def _capture_transpose(call: Call) -> Value:
    rank = len(call.shape) + 1
    order = list(range(rank))
    one, other = (int(call.arguments[name]) % rank for name in ("dim0", "dim1"))
    order[one], order[other] = order[other], order[one]
    return _permute(call, order)


def _capture_permute(call: Call) -> Value:
    rank = len(call.shape) + 1
    return _permute(call, [int(dim) % rank for dim in call.arguments["dims"]])


def _permute(call: Call, order: list[int]) -> Value:
    """`order` with the batch dimension, which must stay in front."""
    x = call.arguments["self"]
    if order[0] != 0:
        raise call.refuse("windows are trained one by one: the batch dimension must stay in front")
    moved = [dim - 1 for dim in order[1:]]
    if sorted(kept := [dim for dim in moved if x.shape[dim] > 1]) == kept:
        return call.view(x, call.shape)  # only dimensions of size 1 move
    missing = 4 - len(moved)
    if missing < 0:
        raise call.refuse("permutations are supported over at most four dimensions besides the batch")
    widened = call.view(x, (1,) * missing + x.shape)
    y = Value.new(call.layer or "permuted", (1,) * missing + call.shape)
    full = [*range(missing), *(dim + missing for dim in moved)]
    call.run("permute", widened, y, **dict(zip(_NAMES, full, strict=True)))
    return call.view(y, call.shape)


def _backward(op: Op, b: Backward) -> None:
    order = [int(op.attributes[name]) for name in _NAMES]
    back: dict[str, Number] = {name: order.index(at) for at, name in enumerate(_NAMES)}
    b.emit("permute", b.gradient(op.operand("y")), b.new(op.operand("x")), of=op, attributes=back)


OPERATOR = Operator(
    captures={"aten.transpose.int": _capture_transpose, "aten.permute.default": _capture_permute},
    backward={"permute": _backward},
)
