"""Average and max pooling, and means over trailing dimensions."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Op, Value
from device_agent.compiler.operators.base import Backward, Call, Capture, Operator, pair


def _settings(kernel: tuple[int, int], stride: tuple[int, int]) -> dict[str, int | float]:
    return {"kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1]}


def _capture_pool(kind: str) -> Capture:
    def capture(call: Call) -> Value:
        given = call.arguments
        kernel = pair(given["kernel_size"])
        stride = pair(given.get("stride") or kernel)
        if pair(given.get("padding", 0)) != (0, 0) or given.get("ceil_mode"):
            raise call.refuse("pooling with padding or ceil_mode is not supported: pad before, or crop")
        if pair(given.get("dilation", 1)) != (1, 1):
            raise call.refuse("dilated pooling is not supported")
        y = call.result()
        call.emit(Op(kind, (given["self"], y), _settings(kernel, stride), call.layer))
        return y

    return capture


def _capture_mean(call: Call) -> Value:
    """x.mean(dim=(2, 3)) or x.mean(dim=3) of [N, C, H, W]: an average pool over the whole map, then a view."""
    x, dims = call.arguments["self"], call.arguments["dim"]
    rank = len(x.shape) + 1
    reduced = sorted(d % rank for d in dims)
    if rank != 4 or reduced not in ([2, 3], [3]):
        raise call.refuse("a mean is supported over height and width, or over width, of [N, C, H, W]")
    kernel = (x.shape[1] if reduced == [2, 3] else 1, x.shape[2])
    pooled = Value.new(f"{call.layer or 'mean'}.pooled", (x.shape[0], x.shape[1] // kernel[0], 1))
    call.emit(Op("average_pool_forward", (x, pooled), _settings(kernel, kernel), call.layer))
    y = pooled.reshaped(call.layer or "mean", call.shape)
    call.emit(Op(RESHAPE, (pooled, y), {}, call.layer))
    return y


def _average_backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("average_pool_backward", b.gradient(y), b.new(x), of=op, attributes=op.attributes)


def _max_backward(op: Op, b: Backward) -> None:
    x, y = op.operand("x"), op.operand("y")
    b.emit("max_pool_backward", b.gradient(y), x, b.new(x), of=op, attributes=op.attributes)


OPERATOR = Operator(
    captures={
        "aten.avg_pool2d.default": _capture_pool("average_pool_forward"),
        "aten.max_pool2d.default": _capture_pool("max_pool_forward"),
        "aten.mean.dim": _capture_mean,
    },
    backward={"average_pool_forward": _average_backward, "max_pool_forward": _max_backward},
)
