"""The model of GAP9: one constant, fitted and frozen; its errors are told."""

from __future__ import annotations

import struct

import pytest

from biotrain.bench.layers import REFERENCE
from biotrain.bench.single import single_plan
from biotrain.bench.traffic import moved_bytes
from device_agent.compiler import gap9
from schemas.plan import Entry


def test_the_frozen_constant_is_the_fit():
    assert pytest.approx(gap9.fit_cycles_per_instruction(), abs=1e-3) == gap9.CYCLES_PER_INSTRUCTION


def test_no_other_constant_fits_the_three_simulated_rows_better():
    def loss(c: float) -> float:
        return sum((c * i / gap9.CORES / cycles - 1) ** 2 for i, cycles in gap9.REFERENCE.values())

    best = loss(gap9.CYCLES_PER_INSTRUCTION)
    assert all(best <= loss(gap9.CYCLES_PER_INSTRUCTION + step) for step in (-0.1, -0.01, 0.01, 0.1))


def test_what_takes_longest_decides():
    work = gap9.cycles(1_000_000)
    assert work == 1_000_000 * gap9.CYCLES_PER_INSTRUCTION
    assert gap9.cycles(1_000_000, meetings=100) == work + 100 * gap9.MEETING_CYCLES
    assert gap9.cycles(1_000_000, macs=40_000_000) == 10_000_000
    assert gap9.cycles(1_000_000, moved_bytes=80_000_000) == 10_000_000


def test_a_slower_clock_saves_energy():
    fast, thrifty = (
        gap9.at(point, 9e5, gap9.Waiting(80_000, 20_000), "a test") for point in (gap9.FASTEST, gap9.THRIFTIEST)
    )
    assert fast.basis.startswith("model: ")
    assert thrifty.samples_per_second < fast.samples_per_second
    assert thrifty.energy_mj_per_sample < 0.7 * fast.energy_mj_per_sample
    assert fast.energy_mj_per_sample == pytest.approx(fast.power_mw / fast.samples_per_second, rel=0.01)


def test_operands_are_counted_once_an_instruction():
    plan = single_plan(REFERENCE, "forward")
    assert moved_bytes(plan, Entry.TRAIN) == 4 * (4 * 16 * 124 + 16 * 4 * 16 + 16 * 16 * 109)
    assert moved_bytes(plan, Entry.PREPROCESS) == struct.calcsize("f")
