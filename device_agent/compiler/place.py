"""Which tensors lie in L1 from where they are written to where they are last read: the small ones that are used often.

A load from L2 costs a core about fourteen cycles more than one from L1 (`gap9.py`), so what is read most for its size
goes to L1 first. The two levels together never take more than one arena would have taken: a tensor is moved only where
the peaks of both still add up to no more. What is too large to lie there whole comes part by part (`staging/`); it has
taken its room before this looks at what is left. Where L2 is too small, what is used least lies in L3 and is read there
in place: slow, but a step of it can be taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum, auto
from itertools import product

from device_agent.compiler.ir import Program, Storage
from device_agent.compiler.memory.problem import Buffer, Problem
from device_agent.compiler.memory.solver import solve
from device_agent.compiler.schedule import lifetimes
from device_agent.compiler.traffic import storage_traffic
from schemas.plan import Region

L1_BYTES = 80_000
"""Of GAP9's 131,072 what nine stacks and the runtime leave (port/gap9/settings.h); the other ports have more."""


#: So many sizes of L1 are tried.
_TRIES = 120


class _Way(Enum):
    """What goes to L1 first."""

    BY_USE = auto()
    """What is read most for its size."""
    PEAKS_BY_USE = auto()
    """Of what lives where most is left in L2, what is read most; then the rest."""
    PEAKS_BY_IDLENESS = auto()
    """There what is read least: often it lies longest, and others find room before and behind it."""


def place_in_l1(
    programs: Sequence[Program],
    held: frozenset[Storage],
    most: int = L1_BYTES,
    both: int | None = None,
    least_l2: int = 0,
) -> None:
    """Moves storages of `programs` (training last) from L2 to L1. `held` stays: it is filled or read from outside.

    `both`: bytes that the levels may take together, where some lie in L1 already; else as many as without it.
    `least_l2`: bytes that L2 needs all the same.
    """
    problems = [lifetimes(program, Region.ARENA, held) for program in programs]
    there = [lifetimes(program, Region.L1) for program in programs]
    traffic = [storage_traffic(program) for program in programs]
    least = max(problem.lower_bound() for problem in there)
    joint = max(least_l2, *(problem.lower_bound() for problem in problems)) if both is None else both
    best: tuple[int, set[Storage]] = (0, set())
    sizes = sorted({least, *_sizes(problems[-1], there[-1], traffic[-1], held, most)}, reverse=True)
    for size, way in product(sizes, _Way):
        chosen = [
            _filled(problem, fast, found, held, size, way)
            for problem, fast, found in zip(problems, there, traffic, strict=True)
        ]
        rest = [_bound(problem, moved) for problem, moved in zip(problems, chosen, strict=True)]
        gained = sum(traffic[-1][storage] for storage in chosen[-1])
        moved = tuple(b for b in problems[-1].buffers if b.key in chosen[-1])
        used = max(Problem((*there[-1].buffers, *moved)).lower_bound(), least)
        fits = used == size and max(rest[-1], least_l2) + size <= joint and rest[-1] == max(rest)
        if fits and gained > best[0] and _no_larger(problems[:-1], chosen, max(rest[-1], least_l2)):
            best = gained, set().union(*chosen)
    for storage in best[1]:
        storage.region = Region.L1


def put_aside(programs: Sequence[Program], held: frozenset[Storage], count: int) -> None:
    """Moves what is used least from L2 to L3, until L2 needs `count` bytes less, or nothing is left that may go.

    What is pinned (results that the engine itself reads) and `held` stay."""
    pinned = {value.storage for program in programs for value in program.pinned}
    traffic = sum((storage_traffic(program) for program in programs), Counter[Storage]())

    def largest() -> Problem[Storage]:
        problems = (lifetimes(program, Region.ARENA, held) for program in programs)
        return max(problems, key=lambda problem: problem.lower_bound())

    most = largest().lower_bound() - count
    while (problem := largest()).lower_bound() > most:
        at, _ = problem.peak()
        there = [b for b in problem.buffers if b.start <= at < b.end and b.key not in held and b.key not in pinned]
        if not there:
            break
        least = min(there, key=lambda b: (traffic[b.key] / b.bytes, -b.bytes, b.name))
        least.key.region = Region.L3


def left_in_l2(program: Program, held: frozenset[Storage], l1_bytes: int) -> int:
    """The least that L2 has to hold when an L1 of this size, part of which is taken, is filled with the rest."""
    problem, there = lifetimes(program, Region.ARENA, held), lifetimes(program, Region.L1)
    traffic = storage_traffic(program)
    return min(_bound(problem, _filled(problem, there, traffic, held, l1_bytes, way)) for way in _Way)


def take_back(programs: Sequence[Program]) -> None:
    """Everything lies in L2 again."""
    for program in programs:
        for storage in storage_traffic(program):
            if storage.region is Region.L1:
                storage.region, storage.offset = Region.ARENA, None


def _order(problem: Problem[Storage], traffic: Counter[Storage], held: frozenset[Storage]) -> list[Buffer[Storage]]:
    """Read most for its size first."""
    free = [buffer for buffer in problem.buffers if buffer.key not in held]
    return sorted(free, key=lambda b: (-traffic[b.key] / b.bytes, b.bytes, b.start, b.name))


def _sizes(
    problem: Problem[Storage], there: Problem[Storage], traffic: Counter[Storage], held: frozenset[Storage], most: int
) -> list[int]:
    """What L1 could hold at each step, were it filled in order: the candidates for its size, largest first."""
    order, sizes = _order(problem, traffic, held), set()
    for step in {buffer.start for buffer in problem.buffers}:
        total = there.live_bytes(step)
        for buffer in order:
            if buffer.start <= step < buffer.end:
                total += buffer.bytes
                sizes.add(total)
    fitting = sorted((size for size in sizes if size <= most), reverse=True)
    return fitting[:: max(1, -(-len(fitting) // _TRIES))]


def _filled(
    problem: Problem[Storage],
    there: Problem[Storage],
    traffic: Counter[Storage],
    held: frozenset[Storage],
    size: int,
    way: _Way,
) -> set[Storage]:
    """In order, whatever there is room for, beside what is `there`, all the while that it lives."""
    live = [0] * (max((buffer.end for buffer in (*problem.buffers, *there.buffers)), default=0) + 1)
    for buffer in there.buffers:
        for step in range(buffer.start, buffer.end):
            live[step] += buffer.bytes
    moved: set[Storage] = set()
    order = _order(problem, traffic, held)

    def move(buffer: Buffer[Storage]) -> bool:
        span = range(buffer.start, buffer.end)
        if buffer.key in moved or max(live[step] for step in span) + buffer.bytes > size:
            return False
        moved.add(buffer.key)
        for step in span:
            live[step] += buffer.bytes
        return True

    at_peaks = {_Way.BY_USE: [], _Way.PEAKS_BY_USE: order, _Way.PEAKS_BY_IDLENESS: order[::-1]}[way]
    while at_peaks:
        at, _ = _left(problem, moved).peak()
        if not any(move(buffer) for buffer in at_peaks if buffer.start <= at < buffer.end):
            break
    for buffer in order:
        move(buffer)
    return moved


def _no_larger(problems: Sequence[Problem[Storage]], chosen: Sequence[set[Storage]], bytes_: int) -> bool:
    """Whether what is left of `problems` finds a place in so many bytes: what is held may leave holes too small."""
    return all(solve(_left(problem, moved))[1] <= bytes_ for problem, moved in zip(problems, chosen, strict=False))


def _left(problem: Problem[Storage], moved: set[Storage]) -> Problem[Storage]:
    return Problem(tuple(buffer for buffer in problem.buffers if buffer.key not in moved))


def _bound(problem: Problem[Storage], moved: set[Storage]) -> int:
    """What L2 needs for the rest."""
    return _left(problem, moved).lower_bound()
