"""The device's reader of plans and weights trusts nothing."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from device_agent.engine.engine import Engine, EngineError
from schemas.plan import PlanError, Region, View, read_plan
from schemas.weights import Weights, WeightsError, read_weights
from tests.runtime.handmade import Code, tiny_plan


@pytest.fixture(scope="module")
def plan() -> bytes:
    return tiny_plan()


def refused(file: bytes) -> str:
    with pytest.raises(EngineError) as caught:
        Engine(file)
    return caught.value.code


def resealed(file: bytearray) -> bytes:
    """The same bytes with a right checksum: what an attacker, or a compiler with a fault, would send."""
    signed = struct.unpack_from("<I", file, 16)[0]
    if 16 <= signed <= len(file):
        struct.pack_into("<I", file, 12, zlib.crc32(file[16:signed], zlib.crc32(file[:12])))
    return bytes(file)


def test_a_whole_plan_is_accepted(plan):
    with Engine(plan) as engine:
        assert engine.plan.header.model == "tiny"


def test_a_plan_cut_at_any_length_is_refused(plan):
    for length in range(len(plan)):
        assert refused(plan[:length]) in {"BT_BAD_MAGIC", "BT_BAD_LENGTH"}
        with pytest.raises(PlanError):
            read_plan(plan[:length])


def test_a_plan_with_any_byte_altered_is_refused(plan):
    for at in range(len(plan)):
        altered = bytearray(plan)
        altered[at] ^= 0x41
        assert refused(bytes(altered)) in {"BT_BAD_MAGIC", "BT_BAD_VERSION", "BT_BAD_LENGTH", "BT_BAD_CRC"}
        with pytest.raises(PlanError):
            read_plan(bytes(altered))


def test_a_plan_of_another_version_is_named_as_such(plan):
    newer = bytearray(plan)
    struct.pack_into("<H", newer, 4, 4)
    assert refused(resealed(newer)) == "BT_BAD_VERSION"
    with pytest.raises(PlanError, match=r"format version 4\.0, this biotrain reads 3"):
        read_plan(bytes(newer))


def test_no_plan_with_a_right_checksum_and_wrong_content_harms_the_device(plan):
    """Random bytes changed behind the checksum: refused, or harmless enough to run."""
    rng = np.random.default_rng(7)
    window = np.ones((2, 8), np.int16)
    outcomes = {"refused": 0, "ran": 0}
    for _ in range(3000):
        altered = bytearray(plan)
        for at in rng.integers(16, len(plan), rng.integers(1, 4)):
            altered[at] = rng.choice([0, 1, 0x7F, 0xFF, altered[at] ^ 1 << rng.integers(8)])
        try:
            engine = Engine(resealed(altered))
        except (EngineError, PlanError, ValueError):
            outcomes["refused"] += 1
            continue
        with engine:
            header = engine.plan.header
            if (header.channels, header.samples) == window.shape:
                try:
                    engine.infer(window, np.ones(2, np.float32))
                    engine.begin_fit()
                    engine.fit_sample(window, np.ones(2, np.float32), 0)
                    engine.fit_step(0.1)
                except EngineError:
                    pass
            outcomes["ran"] += 1
    assert outcomes["refused"] > 1000, outcomes
    assert outcomes["ran"] > 100, outcomes


@pytest.mark.parametrize("region", range(8))
def test_a_region_of_part_of_a_value_is_refused(plan, region):
    odd = bytearray(plan)
    struct.pack_into("<I", odd, 80 + 4 * region, struct.unpack_from("<I", plan, 80 + 4 * region)[0] + 1)
    assert refused(resealed(odd)) == "BT_BAD_PLAN"


def test_a_plan_whose_work_takes_hours_is_refused():
    """2,000,000 rounds of copying two million values."""
    big = (View(Region.ARENA, 0, (2_000_000,)),)
    slow = tiny_plan(Code().loop(2_000_000).run("copy", 11, 11).end_loop(), big, arena=8_000_000)
    assert refused(slow) == "BT_BAD_PLAN"


def test_a_device_that_is_too_small_says_so(plan):
    with pytest.raises(EngineError, match="BT_NO_MEMORY"):
        Engine(plan, l2=64)


def test_weights_of_another_plan_cut_or_altered_are_refused(plan):
    size = read_plan(plan).header.region_bytes[1]
    good = Weights(read_plan(plan).hash, 3, b"\0" * size).pack()
    assert read_weights(good, read_plan(plan).hash).version == 3
    with pytest.raises(WeightsError, match="belong to plan"):
        read_weights(Weights("ab" * 32, 1, b"\0" * size).pack(), read_plan(plan).hash)
    with pytest.raises(WeightsError, match="cut or padded"):
        read_weights(good[:-1])
    with pytest.raises(WeightsError, match="altered"):
        read_weights(good[:-1] + b"\1")
