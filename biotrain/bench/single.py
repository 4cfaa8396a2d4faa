"""Plans with one kernel in their training program, and with none: their difference is what the kernel costs."""

from __future__ import annotations

import math
import struct

from biotrain.bench.layers import Layer
from schemas.plan import NO_FEATURES, NO_VIEW, Entry, PlanHeader, Region, View, pack_plan
from schemas.plan_operations import END, OPERATIONS


def single_plan(layer: Layer, which: str | None) -> bytes:
    """`which` pass of the layer is the training program; with None it is empty.

    Windows are one sample of one channel; the kernel's operands lie where a plan has them.
    """
    places = _Places()
    window = places.add(Region.ARENA, (1, 1))
    logits = places.add(Region.ARENA, (2,))
    loss = places.add(Region.SCALARS, (1,))
    x, y = places.add(Region.ARENA, layer.x), places.add(Region.ARENA, layer.y)
    weight, bias = places.add(Region.WEIGHTS, layer.weight), places.add(Region.WEIGHTS, layer.weight[:1])
    dx = places.add(Region.ARENA, layer.x)
    dweight, dbias = places.add(Region.GRADIENTS, layer.weight), places.add(Region.GRADIENTS, layer.weight[:1])
    operands = {
        "forward": (x, weight, bias if layer.bias else NO_VIEW, y),
        "weight_gradient": (x, y, dweight, dbias if layer.bias else NO_VIEW),
        "input_gradient": (y, weight, x),
        "backward": (x, y, weight, dweight, dbias if layer.bias else NO_VIEW, dx),
    }
    end = struct.pack("<I", END)
    work = b"" if which is None else _instruction(f"{layer.kind}_{which}", operands[which], layer.settings)
    header = PlanHeader(
        model="one kernel",
        channels=1,
        samples=1,
        classes=2,
        sampling_rate_hz=100.0,
        region_bytes=tuple(places.bytes.get(region, 0) for region in Region),
        input_view=window,
        logits_view=logits,
        features_view=NO_FEATURES,
        loss_view=loss,
        training_bytes=places.bytes[Region.ARENA],
    )
    code = {
        Entry.PREPROCESS: _instruction("decode_counts", (window,), ()) + end,
        Entry.INFER: end,
        Entry.TRAIN: work + end,
        Entry.UPDATE: end,
    }
    return pack_plan(header, {}, places.views, b"", code)


class _Places:
    """Views side by side in their regions, each from a multiple of 16 bytes."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.bytes: dict[Region, int] = {}

    def add(self, region: Region, shape: tuple[int, ...]) -> int:
        at = self.bytes.get(region, 0)
        self.views.append(View(region, at, shape))
        self.bytes[region] = at + (4 * math.prod(shape) + 15) // 16 * 16
        return len(self.views) - 1


def _instruction(kind: str, views: tuple[int, ...], settings: tuple[int, ...]) -> bytes:
    padded = views + (0,) * (len(views) % 2)
    head = OPERATIONS[kind].number | len(views) << 8 | len(settings) << 16
    return struct.pack(f"<I{len(padded)}H{len(settings)}I", head, *padded, *settings)
