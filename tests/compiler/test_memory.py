"""The memory planner: solver against validator, and against the exact optimum of small problems."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_agent.compiler.memory import solver
from device_agent.compiler.memory.exact import search
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


def brute_force(problem: Problem) -> int:
    """The smallest arena of all orders, each buffer at its lowest place: nothing is left out."""
    best = sum(buffer.bytes for buffer in problem.buffers)
    for order in permutations(problem.buffers):
        placed: list[tuple[int, Buffer]] = []
        for buffer in order:
            at = 0
            for begin, other in sorted(placed, key=lambda entry: entry[0]):
                if other.start < buffer.end and buffer.start < other.end and at < begin + other.bytes:
                    if at + buffer.bytes <= begin:
                        break
                    at = begin + other.bytes
            placed.append((at, buffer))
        best = min(best, max(at + buffer.bytes for at, buffer in placed))
    return best


def small_problem(draw: random.Random, count: int) -> Problem:
    spans = [sorted(draw.sample(range(8), 2)) for _ in range(count)]
    return Problem(tuple(Buffer(n, str(n), 4 * draw.randint(1, 9), *span) for n, span in enumerate(spans)))


def test_the_exact_search_finds_what_trying_everything_finds():
    draw = random.Random(3)
    for _ in range(25):
        problem = small_problem(draw, 6)
        least = brute_force(problem)
        offsets, finished = search(problem, 10_000)
        assert finished
        validate(problem, offsets, least)
        assert search(problem, least) == (None, True), "nothing is smaller"


def test_the_exact_search_says_when_it_has_not_seen_everything():
    problem = small_problem(random.Random(1), 12)
    assert search(problem, problem.lower_bound() + 1, nodes=3)[1] is False


def test_the_exact_search_goes_where_the_portfolio_does_not():
    sizes = [(16, 3, 4), (36, 1, 3), (36, 0, 7), (28, 3, 6), (28, 1, 4), (20, 2, 4)]
    problem = Problem(tuple(Buffer(n, str(n), *size) for n, size in enumerate(sizes)))
    assert solve(problem)[1] == 136
    offsets, finished = search(problem, 136)
    assert finished
    validate(problem, offsets, problem.lower_bound())


def crowded(seed: int) -> Problem:
    draw, buffers = random.Random(seed), []
    for n in range(40):
        start = draw.randrange(30)
        buffers.append(Buffer(n, str(n), 4 * draw.randint(1, 100), start, start + draw.randint(1, 12)))
    return Problem(tuple(buffers))


def test_each_order_puts_what_is_hard_in_its_sense_first():
    spans = {"a": (8, 0, 4), "b": (8, 2, 3), "c": (40, 1, 2), "d": (4, 0, 9), "e": (12, 2, 5)}
    buffers = [Buffer(name, name, *span) for name, span in spans.items()]
    orders = {name: "".join(b.key for b in sorted(buffers, key=key)) for name, key in ORDERS.items()}
    assert orders == {"size": "ceabd", "start": "adceb", "area": "cdeab", "length": "daecb", "end": "deabc"}


def test_crowded_problems_come_out_close_to_their_bound_because_what_sticks_out_is_placed_first(monkeypatch):
    """At 1.00203 times it when this was written, and at 1.0325 without the second step."""
    problems = [crowded(seed) for seed in range(15)]
    bound = sum(problem.lower_bound() for problem in problems)
    for problem in problems:
        offsets, arena = solve(problem)
        validate(problem, offsets, arena)
    assert sum(solve(problem)[1] for problem in problems) <= 1.0021 * bound
    monkeypatch.setattr(solver, "TRIES", 0)
    assert sum(solve(problem)[1] for problem in problems) > 1.02 * bound


def test_lifetimes_are_half_open_and_the_peak_is_the_first():
    problem = Problem((Buffer("a", "a", 8, 2, 4), Buffer("b", "b", 8, 4, 6)))
    assert [problem.live_bytes(step) for step in range(1, 7)] == [0, 8, 8, 8, 8, 0]
    assert problem.peak() == (2, 8)
    assert Problem(()).peak() == (0, 0)
    assert solve(Problem(())) == ({}, 0)
    assert problem.steps_above(7) == [2, 4]
    assert problem.steps_above(8) == []


def test_the_exact_search_gives_up_where_what_is_decided_is_too_high_already():
    fixed, free = Buffer("fixed", "fixed", 8, 0, 2, offset=8), Buffer("free", "free", 4, 0, 2)
    problem = Problem((fixed, free))
    assert search(problem, 16) == (None, False)
    assert search(problem, 15) == (None, False)
    assert search(problem, 17) == ({"fixed": 8, "free": 0}, True)


def test_the_exact_search_puts_down_no_more_than_it_may():
    problem = Problem((Buffer("a", "a", 8, 0, 2), Buffer("b", "b", 4, 0, 2)))
    assert search(problem, 100, nodes=2) == ({"a": 0, "b": 8}, True)
    assert search(problem, 100, nodes=1) == (None, False)
    assert search(problem, 100, nodes=0) == (None, False)


def test_what_is_decided_may_keep_the_rest_above_it():
    """The buffer that sticks out is the first to be placed already: the others are tried before it."""
    fixed = Buffer("fixed", "fixed", 12, 0, 2, offset=48)
    problem = Problem((fixed, Buffer("a", "a", 60, 0, 2), Buffer("b", "b", 30, 0, 2)))
    offsets, arena = solve(problem)
    validate(problem, offsets, arena)
    assert arena == 120  # of 102 bytes that live together
    assert set(offsets) == {"fixed", "a", "b"}


@pytest.mark.parametrize(("one", "other"), [(4, 12), (12, 4), (4, 4), (0, 8), (8, 0), (8, 16)])
def test_the_validator_sees_every_overlap(one, other):
    problem = Problem((Buffer("a", "a", 12, 0, 2), Buffer("b", "b", 12, 1, 3)))
    with pytest.raises(AssertionError, match="live together"):
        validate(problem, {"a": one, "b": other}, 100)


def test_the_validator_lets_neighbours_be():
    problem = Problem((Buffer("a", "a", 4, 0, 2), Buffer("b", "b", 4, 1, 3), Buffer("c", "c", 8, 2, 3)))
    validate(problem, {"a": 4, "b": 0, "c": 4}, 12)
    validate(problem, {"a": 4, "b": 8, "c": 0}, 12)
