"""Loops, strides and copies between memory levels: the plan's form has them from the first version."""

from __future__ import annotations

import numpy as np
import pytest

from device_agent.engine.engine import Engine, EngineError
from schemas.plan import Region, View
from tests.runtime.handmade import Code, ramp, tiny_plan

ONES = np.ones(2, np.float32)
ROW_IN, TILE, ROW_OUT, SPILL = 11, 12, 13, 14
VIEWS = (
    View(Region.ARENA, 0, (8,), (32,)),  # one channel of the input a round
    View(Region.L1, 0, (8,)),
    View(Region.ARENA, 256, (8,), (32,)),
    View(Region.L3, 0, (8,), (32,)),
)


def tiles_through_l1_and_l3(rounds: int = 2) -> Code:
    """Each channel goes L2 -> L1 -> L3 -> L2."""
    code = Code().loop(rounds).run("copy", ROW_IN, TILE).run("copy", TILE, SPILL).run("copy", SPILL, ROW_OUT).end_loop()
    return code.run("linear_forward", 0, 1, 2, 3)


def test_a_loop_moves_its_views_and_copies_between_levels():
    with Engine(tiny_plan(tiles_through_l1_and_l3(), VIEWS)) as engine:
        engine.infer(ramp(), ONES)
        np.testing.assert_array_equal(engine.region(Region.ARENA)[64:80], np.arange(16, dtype=np.float32))
        np.testing.assert_array_equal(engine.region(Region.L3)[:16], np.arange(16, dtype=np.float32))
        np.testing.assert_array_equal(engine.region(Region.L1)[:8], np.arange(8, 16, dtype=np.float32))


def test_nested_loops_run_every_round():
    views = (View(Region.ARENA, 256, (2,), (16, 8)), View(Region.ARENA, 0, (2,), (16, 8)))
    code = Code().loop(2).loop(2).run("copy", 12, 11).end_loop().end_loop().run("linear_forward", 0, 1, 2, 3)
    with Engine(tiny_plan(code, views)) as engine:
        engine.infer(ramp(), ONES)
        np.testing.assert_array_equal(engine.region(Region.ARENA)[64:72], np.arange(8, dtype=np.float32))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("a loop that walks out of its region", tiles_through_l1_and_l3(rounds=9)),
        ("a loop that is not closed", Code().loop(2).run("linear_forward", 0, 1, 2, 3)),
        ("an end without a loop", Code().end_loop().run("linear_forward", 0, 1, 2, 3)),
        ("no rounds", Code().loop(0).run("linear_forward", 0, 1, 2, 3).end_loop()),
        ("more rounds than a step can have", Code().loop(4_000_000).loop(4_000_000).end_loop().end_loop()),
        ("five loops deep", Code().loop(1).loop(1).loop(1).loop(1).loop(1)),
        ("a view that is not there", Code().run("copy", 99, 0)),
        ("shapes that do not fit", Code().run("copy", 0, 3)),
        ("writing weights outside the update", Code().run("zero", 1)),
        ("an operand left out that must be there", Code().run("linear_forward", 0, None, 2, 3)),
    ],
)
def test_a_program_that_cannot_be_is_refused(what, code):
    with pytest.raises(EngineError, match="BT_BAD_PLAN"):
        Engine(tiny_plan(code, VIEWS))
