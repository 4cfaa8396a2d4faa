"""bf16 and int16 as the device makes them, value by value."""

from __future__ import annotations

import numpy as np
import torch

from device_agent.engine.engine import Engine
from schemas.plan import Region, ValueType, View
from tests.runtime.handmade import Code, ramp, tiny_plan


def edges() -> np.ndarray:
    """Ties to both sides, values about them, subnormals, the largest, infinities and NaN, and random bits."""
    halves = np.array([0x3F80, 0x3F81, 0xBF80, 0x0001, 0x7F7F, 0x0080], np.uint32) << 16
    near = [(halves + more).astype(np.uint32) for more in (0, 0x7FFF, 0x8000, 0x8001, 0xFFFF)]
    special = np.array([0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345, 0x7F800001], np.uint32)
    bits = np.concatenate([*near, special, np.random.default_rng(0).integers(0, 2**32, 219, dtype=np.uint32)])
    return bits[:256].view(np.float32)


def test_bf16_is_torchs_and_what_is_read_in_the_same_round_is_rounded_too():
    values = edges()
    x, half, back = (
        View(Region.ARENA, 128, (256,)),
        View(Region.ARENA, 1152, (256,), type=ValueType.BF16),
        View(Region.ARENA, 1664, (256,)),
    )
    code = Code().run("narrow_bf16", 11, 12).run("widen_bf16", 12, 13)
    with Engine(tiny_plan(code, (x, half, back), arena=4096)) as engine:
        arena = engine.region(Region.ARENA)
        arena[32:288] = values
        run(engine)
        expected = torch.tensor(values).bfloat16().float().numpy()
        np.testing.assert_array_equal(arena[32:288], expected)
        np.testing.assert_array_equal(arena[416:672], expected)


def run(engine: Engine) -> None:
    engine.infer(ramp(), np.ones(2, np.float32))


def test_counts_take_the_largest_of_a_channel_as_their_range_and_a_flat_channel_stays_zero():
    x = View(Region.ARENA, 0, (2, 8))
    scale, counts = View(Region.ARENA, 128, (2,)), View(Region.ARENA, 136, (2, 8), type=ValueType.I16)
    back = View(Region.ARENA, 256, (2, 8))
    code = Code().run("narrow_counts", 11, 12, 13).run("widen_counts", 13, 12, 14)
    window = ramp() * np.array([[0], [100]], np.int16)
    with Engine(tiny_plan(code, (x, scale, counts, back))) as engine:
        engine.infer(window, np.full(2, 0.3, np.float32))
        given = window.astype(np.float32) * np.float32(0.3)
        arena = engine.region(Region.ARENA)
        largest = np.abs(given).max(axis=1)
        np.testing.assert_array_equal(arena[32:34], largest / np.float32(32767))
        held = arena[34:42].view(np.int16).reshape(2, 8)
        np.testing.assert_array_equal(held[0], 0)
        np.testing.assert_array_equal(held[1], np.rint(given[1] / arena[33]))
        np.testing.assert_array_equal(arena[64:80].reshape(2, 8), held * arena[32:34, None])
