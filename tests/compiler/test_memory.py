"""The memory planner: solver against validator, and against the exact optimum of small problems."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.compiler.memory.problem import Buffer, Problem
from device_agent.compiler.memory.solver import ORDERS, _place, solve
from device_agent.compiler.memory.validator import validate


@st.composite
def problems(draw, most=12):
    count = draw(st.integers(1, most))
    buffers = []
    for key in range(count):
        start = draw(st.integers(0, 10))
        buffers.append(Buffer(key, f"b{key}", 4 * draw(st.integers(1, 50)), start, start + draw(st.integers(1, 6))))
    return Problem(tuple(buffers))


@given(problems())
@settings(max_examples=200, deadline=None)
def test_no_two_buffers_that_live_together_overlap(problem):
    offsets, arena = solve(problem)
    validate(problem, offsets, arena)
    assert arena >= problem.lower_bound()


@given(problems(most=5))
@settings(max_examples=60, deadline=None)
def test_small_problems_are_solved_within_a_quarter_of_the_best_first_fit(problem):
    best = min(
        _place(Problem(order), lambda b, order=order: (order.index(b),))[1] for order in permutations(problem.buffers)
    )
    assert solve(problem)[1] <= 1.25 * best


def test_a_buffer_with_an_offset_keeps_it():
    fixed = Buffer("input", "input", 100, 0, 3, offset=0)
    problem = Problem((fixed, Buffer("a", "a", 400, 0, 2), Buffer("b", "b", 400, 2, 4)))
    offsets, arena = solve(problem)
    validate(problem, offsets, arena)
    assert offsets["input"] == 0
    assert arena == 500


def test_the_validator_sees_an_overlap_and_a_buffer_that_sticks_out():
    problem = Problem((Buffer("a", "a", 8, 0, 2), Buffer("b", "b", 8, 1, 3)))
    with pytest.raises(AssertionError, match="a and b live together"):
        validate(problem, {"a": 0, "b": 4}, 16)
    with pytest.raises(AssertionError, match="b at 12 sticks out"):
        validate(problem, {"a": 0, "b": 12}, 16)


def test_every_order_of_the_portfolio_gives_a_valid_plan():
    problem = Problem(tuple(Buffer(i, f"b{i}", 4 * (i % 5 + 1), i, i + 3) for i in range(20)))
    for order in ORDERS.values():
        offsets, arena = _place(problem, order)
        validate(problem, offsets, arena)
