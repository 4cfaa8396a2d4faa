"""Average and max pooling, adaptive pooling to a fixed size, and means over neighbouring dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable

from device_agent.compiler.ir import Number, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Capture, Operator, as_map, pair

Pair = tuple[int, int]


def _settings(kernel: Pair, stride: Pair) -> dict[str, Number]:
    return {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1]}


def _sides(call: Call, name: str, default: Pair, neutral: int) -> Pair:
    """An argument for height and width; over [C, T], height gets what changes nothing."""
    value = call.arguments.get(name)
    if value is None or value == []:
        return default
    if len(call.shape) == 3:
        return pair(value)
    return neutral, value if isinstance(value, int) else int(value[0])


def _finish(call: Call, kind: str, x: Value, attributes: dict[str, Number]) -> Value:
    y = call.result()
    if len(y.shape) == 2:
        y = Value.new(y.name, (y.shape[0], 1, y.shape[1]))
    call.run(kind, x, y, **attributes)
    return call.view(y, call.shape)


def _capture_pool(which: str) -> Capture:
    def capture(call: Call) -> Value:
        given = call.arguments
        kernel = _sides(call, "kernel_size", (1, 1), 1)
        stride = _sides(call, "stride", kernel, 1)
        padding = _sides(call, "padding", (0, 0), 0)
        if _sides(call, "dilation", (1, 1), 1) != (1, 1):
            raise call.refuse("dilated pooling is not supported: use a stride")
        if given.get("divisor_override"):
            raise call.refuse("divisor_override is not supported: scale in the next layer")
        x = as_map(call, given["self"] if "self" in given else given["input"])
        settings = _settings(kernel, stride)
        if padding == (0, 0) and not given.get("ceil_mode"):
            return _finish(call, f"{which}_pool_forward", x, settings)
        counted = which == "average" and given.get("count_include_pad", True)
        clipped = {**settings, "top": padding[0], "left": padding[1], "count_padding": int(counted)}
        return _finish(call, f"clipped_{which}_pool_forward", x, clipped)

    return capture


def _capture_adaptive(which: str) -> Capture:
    def capture(call: Call) -> Value:
        x = as_map(call, call.arguments["self"])
        target = (1, *call.shape[1:]) if len(call.shape) == 2 else call.shape[1:]
        (height, width), (rows, columns) = x.shape[1:], target
        if height % rows == 0 and width % columns == 0:
            kernel = (height // rows, width // columns)
            return _finish(call, f"{which}_pool_forward", x, _settings(kernel, kernel))
        adaptive: dict[str, Number] = {**_settings((1, 1), (0, 0)), "top": 0, "left": 0, "count_padding": 0}
        return _finish(call, f"clipped_{which}_pool_forward", x, adaptive)

    return capture


def _capture_mean(call: Call) -> Value:
    """A mean over neighbouring dimensions: an average pool over [outer, reduced, inner], then a view."""
    x, dims = call.arguments["self"], call.arguments.get("dim")
    rank = len(x.shape) + 1
    reduced = sorted(d % rank - 1 for d in dims) if dims else [-1]
    if reduced[0] < 0:
        raise call.refuse("windows are trained one by one: a mean over the batch is not supported")
    if reduced != list(range(reduced[0], reduced[-1] + 1)):
        raise call.refuse("a mean is supported over neighbouring dimensions: take one after the other")
    outer, inner = math.prod(x.shape[: reduced[0]]), math.prod(x.shape[reduced[-1] + 1 :])
    if len(x.shape) == 3 and reduced in ([1, 2], [2]):
        blocks, kernel = x, (x.shape[1] if reduced == [1, 2] else 1, x.shape[2])
    else:
        middle = math.prod(x.shape) // outer // inner
        blocks, kernel = call.view(x, (outer, middle, inner)), (middle, 1)
    shape = (blocks.shape[0], blocks.shape[1] // kernel[0], blocks.shape[2] // kernel[1])
    pooled = Value.new(f"{call.layer or 'mean'}.pooled", shape)
    call.run("average_pool_forward", blocks, pooled, **_settings(kernel, kernel))
    return call.view(pooled, call.shape)


def _average_backward(kind: str) -> Callable[[Op, Backward], None]:
    def backward(op: Op, b: Backward) -> None:
        x, y = op.operand("x"), op.operand("y")
        b.emit(kind, b.gradient(y), b.new(x), of=op, attributes=op.attributes)

    return backward


def _max_backward(kind: str) -> Callable[[Op, Backward], None]:
    def backward(op: Op, b: Backward) -> None:
        x, y = op.operand("x"), op.operand("y")
        b.emit(kind, b.gradient(y), x, b.new(x), of=op, attributes=op.attributes)

    return backward


OPERATOR = Operator(
    captures={
        "aten.avg_pool2d.default": _capture_pool("average"),
        "aten.avg_pool1d.default": _capture_pool("average"),
        "aten.max_pool2d.default": _capture_pool("max"),
        "aten.max_pool1d.default": _capture_pool("max"),
        "aten.adaptive_avg_pool2d.default": _capture_adaptive("average"),
        "aten.adaptive_avg_pool1d.default": _capture_adaptive("average"),
        "aten.adaptive_max_pool2d.default": _capture_adaptive("max"),
        "aten.adaptive_max_pool1d.default": _capture_adaptive("max"),
        "aten.mean.dim": _capture_mean,
    },
    backward={
        "average_pool_forward": _average_backward("average_pool_backward"),
        "max_pool_forward": _max_backward("max_pool_backward"),
        "clipped_average_pool_forward": _average_backward("clipped_average_pool_backward"),
        "clipped_max_pool_forward": _max_backward("clipped_max_pool_backward"),
    },
)
