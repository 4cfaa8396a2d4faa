"""Concatenation and crops along one dimension."""

from __future__ import annotations

import math

from device_agent.compiler.ir import Number, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Operator


def _dimension(call: Call) -> int:
    """Without the batch dimension."""
    rank = len(call.shape) + 1
    dim = int(call.arguments.get("dim", 0)) % rank
    if dim == 0:
        raise call.refuse("windows are trained one by one: the batch dimension cannot be cut or joined")
    return dim - 1


def _settings(shape: tuple[int, ...], dim: int, at: int) -> dict[str, Number]:
    """Rows in front of `dim`; where in a row index `at` of `dim` begins."""
    return {"rows": math.prod(shape[:dim]), "at": at * math.prod(shape[dim + 1 :])}


def _capture_concat(call: Call) -> Value:
    dim, y, at = _dimension(call), call.result(), 0
    for part in call.arguments["tensors"]:
        call.run("insert_slice", part, y, **_settings(call.shape, dim, at))
        at += part.shape[dim]
    return y


def _capture_slice(call: Call) -> Value:
    x = call.arguments["self"]
    if call.shape == x.shape:
        return x  # x[:]
    dim = _dimension(call)
    if call.arguments.get("step", 1) != 1:
        raise call.refuse("slices with a step are not supported: use a pool or a stride")
    start, size = int(call.arguments.get("start") or 0), x.shape[dim]
    return _extract(call, x, dim, max(start + size, 0) if start < 0 else min(start, size))


def _capture_select(call: Call) -> Value:
    """x[:, i]: the dimension goes away."""
    x = call.arguments["self"]
    dim = int(call.arguments["dim"]) % (len(x.shape) + 1) - 1
    if dim < 0:
        raise call.refuse("windows are trained one by one: none can be picked out of the batch")
    y = Value.new(call.layer or "selected", (*x.shape[:dim], 1, *x.shape[dim + 1 :]))
    call.run("extract_slice", x, y, **_settings(x.shape, dim, int(call.arguments["index"]) % x.shape[dim]))
    return call.view(y, call.shape)


def _capture_narrow(call: Call) -> Value:
    start = int(call.arguments["start"])
    x, dim = call.arguments["self"], _dimension(call)
    return _extract(call, x, dim, start % x.shape[dim])


def _extract(call: Call, x: Value, dim: int, start: int) -> Value:
    y = call.result()
    call.run("extract_slice", x, y, **_settings(x.shape, dim, start))
    return y


def _capture_split(call: Call) -> list[Value]:
    x, dim, at, parts = call.arguments["self"], _dimension(call), 0, []
    for shape in call.shapes:
        parts.append(Value.new(call.layer or "part", shape))
        call.run("extract_slice", x, parts[-1], **_settings(x.shape, dim, at))
        at += shape[dim]
    return parts


def _insert_backward(op: Op, b: Backward) -> None:
    x = op.operand("x")
    if x in b.wanted:
        b.emit("extract_slice", b.gradient(op.operand("y")), b.new(x), of=op, attributes=op.attributes)


def _extract_backward(op: Op, b: Backward) -> None:
    dx = b.new(op.operand("x"))
    b.emit("zero", dx, of=op)
    b.emit("insert_slice", b.gradient(op.operand("y")), dx, of=op, attributes=op.attributes)


OPERATOR = Operator(
    captures={
        "aten.cat.default": _capture_concat,
        "aten.concat.default": _capture_concat,
        "aten.slice.Tensor": _capture_slice,
        **dict.fromkeys(
            ("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default", "aten.split.sizes"),
            _capture_split,
        ),
        "aten.select.int": _capture_select,
        "aten.narrow.default": _capture_narrow,
    },
    backward={"insert_slice": _insert_backward, "extract_slice": _extract_backward},
)
