"""Which tensors lie in L1 from where they are written to where they are last read: the small ones that are used often.

A load from L2 costs a core about fourteen cycles more than one from L1 (`gap9.py`), so what is read most for its size
goes to L1 first. The two levels together never take more than one arena would have taken: a tensor is moved only where
the peaks of both still add up to no more. Planning has made the parts that a loop works on small enough to lie there
whole, so nothing has to be copied in tiles between the levels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from device_agent.compiler.ir import Program, Storage
from device_agent.compiler.memory.problem import Buffer, Problem
from device_agent.compiler.schedule import lifetimes
from device_agent.compiler.traffic import storage_traffic
from schemas.plan import Region

L1_BYTES = 80_000
"""Of GAP9's 131,072 what nine stacks and the runtime leave (port/gap9/settings.h); the other ports have more."""


#: So many sizes of L1 are tried.
_TRIES = 120


def place_in_l1(programs: Sequence[Program], held: frozenset[Storage], most: int = L1_BYTES) -> None:
    """Moves storages of `programs` (training last) from L2 to L1. `held` stays: it is filled or read from outside."""
    problems = [lifetimes(program, Region.ARENA, held) for program in programs]
    traffic = [storage_traffic(program) for program in programs]
    joint = max(problem.lower_bound() for problem in problems)
    best: tuple[int, set[Storage]] = (0, set())
    for size in _sizes(problems[-1], traffic[-1], held, most):
        chosen = [_filled(problem, found, held, size) for problem, found in zip(problems, traffic, strict=True)]
        rest = [_bound(problem, moved) for problem, moved in zip(problems, chosen, strict=True)]
        gained = sum(traffic[-1][storage] for storage in chosen[-1])
        used = Problem(tuple(b for b in problems[-1].buffers if b.key in chosen[-1])).lower_bound()
        fits = used == size and rest[-1] + size <= joint and rest[-1] == max(rest)
        if fits and gained > best[0]:
            best = gained, set().union(*chosen)
    for storage in best[1]:
        storage.region = Region.L1


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


def _sizes(problem: Problem[Storage], traffic: Counter[Storage], held: frozenset[Storage], most: int) -> list[int]:
    """What L1 could hold at each step, were it filled in order: the candidates for its size, largest first."""
    order, sizes = _order(problem, traffic, held), set()
    for step in {buffer.start for buffer in problem.buffers}:
        total = 0
        for buffer in order:
            if buffer.start <= step < buffer.end:
                total += buffer.bytes
                sizes.add(total)
    fitting = sorted((size for size in sizes if size <= most), reverse=True)
    return fitting[:: max(1, -(-len(fitting) // _TRIES))]


def _filled(problem: Problem[Storage], traffic: Counter[Storage], held: frozenset[Storage], size: int) -> set[Storage]:
    """In order, whatever there is room for all the while that it lives."""
    live = [0] * (max((buffer.end for buffer in problem.buffers), default=0) + 1)
    moved = set()
    for buffer in _order(problem, traffic, held):
        span = range(buffer.start, buffer.end)
        if max(live[step] for step in span) + buffer.bytes <= size:
            moved.add(buffer.key)
            for step in span:
                live[step] += buffer.bytes
    return moved


def _bound(problem: Problem[Storage], moved: set[Storage]) -> int:
    """What L2 needs for the rest."""
    return Problem(tuple(buffer for buffer in problem.buffers if buffer.key not in moved)).lower_bound()
