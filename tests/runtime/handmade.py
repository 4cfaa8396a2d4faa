"""Plans written by hand, without the compiler: what the format allows and the compiler does not use yet."""

from __future__ import annotations

import struct

import numpy as np

from schemas.plan import NO_FEATURES, NO_VIEW, Entry, PlanHeader, Region, View, pack_plan
from schemas.plan_operations import END, END_LOOP, LOOP, OPERATIONS


class Code:
    """Instructions by name."""

    def __init__(self) -> None:
        self.bytes = b""

    def run(self, kind: str, *views: int | None, **immediates: float) -> Code:
        spec = OPERATIONS[kind]
        numbers = [NO_VIEW if view is None else view for view in views]
        padded = numbers + [0] * (len(numbers) % 2)
        words = b"".join(struct.pack("<I", int(immediates[name])) for name in spec.integers)
        words += b"".join(struct.pack("<f", immediates[name]) for name in spec.floats)
        head = spec.number | len(numbers) << 8 | len(words) // 4 << 16
        self.bytes += struct.pack(f"<I{len(padded)}H", head, *padded) + words
        return self

    def loop(self, count: int) -> Code:
        self.bytes += struct.pack("<II", LOOP | 1 << 16, count)
        return self

    def end_loop(self) -> Code:
        self.bytes += struct.pack("<I", END_LOOP)
        return self

    def end(self) -> bytes:
        return self.bytes + struct.pack("<I", END)


def tiny_plan(
    infer: Code | None = None,
    more_views: tuple[View, ...] = (),
    arena: int = 512,
    l1: int = 64,
    train: Code | None = None,
) -> bytes:
    """Two channels of eight samples, linear to two classes: views 0 input, 1 weight, 2 bias, 3 logits, 4 dlogits,
    5 loss, 6 dweight, 7 dbias, 8 weights, 9 gradients, 10 momentum."""
    views = (
        View(Region.ARENA, 0, (2, 8)),
        View(Region.WEIGHTS, 0, (2, 16)),
        View(Region.WEIGHTS, 128, (2,)),
        View(Region.ARENA, 64, (2,)),
        View(Region.ARENA, 72, (2,)),
        View(Region.SCALARS, 0, (1,)),
        View(Region.GRADIENTS, 0, (2, 16)),
        View(Region.GRADIENTS, 128, (2,)),
        View(Region.WEIGHTS, 0, (34,)),
        View(Region.GRADIENTS, 0, (34,)),
        View(Region.OPTIMIZER, 0, (34,)),
        *more_views,
    )
    header = PlanHeader(
        model="tiny",
        channels=2,
        samples=8,
        classes=2,
        sampling_rate_hz=100.0,
        region_bytes=(0, 136, 136, 136, 16, arena, l1, 256),
        input_view=0,
        logits_view=3,
        features_view=NO_FEATURES,
        loss_view=5,
        training_bytes=136 * 3 + arena + 16,
    )
    usual = Code().run("linear_forward", 0, 1, 2, 3).run("cross_entropy", 3, 5, 4)
    usual.run("linear_backward", 0, 4, None, 6, 7, None)
    code = {
        Entry.PREPROCESS: Code().run("decode_counts", 0).end(),
        Entry.INFER: (infer or Code().run("linear_forward", 0, 1, 2, 3)).end(),
        Entry.TRAIN: (train or usual).end(),
        Entry.UPDATE: Code().run("sgd", 8, 9, 10).end(),
    }
    return pack_plan(header, {"classes": ["a", "b"], "channels": ["x", "y"]}, views, b"", code)


def ramp() -> np.ndarray:
    return np.arange(16, dtype=np.int16).reshape(2, 8)
