"""Offsets by greedy placement in several orders, each then improved; the smallest arena wins.

What sticks out at the top is placed first in the next try: a few buffers in the wrong place make all the difference.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from device_agent.compiler.memory.problem import Buffer, Key, Problem

#: Each order places the buffers that are hard in another sense first.
ORDERS: dict[str, Callable[[Buffer[Key]], tuple[int, ...]]] = {
    "size": lambda b: (-b.bytes, b.start),
    "start": lambda b: (b.start, -b.bytes),
    "area": lambda b: (-b.bytes * (b.end - b.start), b.start),
    "length": lambda b: (b.start - b.end, -b.bytes),
    "end": lambda b: (-b.end, -b.bytes),
}
#: Tries for each order; most problems need none.
TRIES = 150

Offsets = dict[Key, int]


def solve(problem: Problem[Key]) -> tuple[Offsets[Key], int]:
    """Offsets (bytes) and the size of the arena. Buffers that have an offset keep it."""
    bound = problem.lower_bound()
    best: tuple[Offsets[Key], int] | None = None
    for key in ORDERS.values():
        found = _place(problem, key)
        if best is None or found[1] < best[1]:
            best = found
        if best[1] <= bound:
            return best
    assert best is not None
    for key in ORDERS.values():
        improved = _improve(problem, sorted(problem.buffers, key=key), min(best[1], _place(problem, key)[1]), bound)
        if improved is not None and improved[1] < best[1]:
            best = improved
        if best[1] <= bound:
            break
    return best


def _improve(problem: Problem[Key], order: list[Buffer[Key]], size: int, bound: int) -> tuple[Offsets[Key], int] | None:
    """From one order, by placing what stuck out before everything else; None when that led nowhere."""
    best = None
    for _ in range(TRIES):
        rank = {buffer.key: at for at, buffer in enumerate(order)}
        offsets, arena = _place(problem, lambda b, rank=rank: (rank[b.key],))  # type: ignore[misc]
        if arena < size:
            best, size = (offsets, arena), arena
        if arena <= bound:
            break
        top = [b for b in order if b.offset is None and offsets[b.key] + b.bytes > bound]
        if not top:
            break
        moved = max(top, key=lambda b: (offsets[b.key] + b.bytes, -rank[b.key]))
        if rank[moved.key] == 0:  # it is first already: let what lies under it go first instead
            order = [*order[1:], order[0]]
            continue
        order = [moved, *(b for b in order if b is not moved)]
    return best


def _place(problem: Problem[Key], order: Callable[[Buffer[Key]], tuple[int, ...]]) -> tuple[Offsets[Key], int]:
    decided = [buffer for buffer in problem.buffers if buffer.offset is not None]
    placed: list[tuple[int, int, Buffer[Key]]] = []
    offsets: Offsets[Key] = {}
    for buffer in decided + sorted((b for b in problem.buffers if b.offset is None), key=order):
        offset = buffer.offset
        if offset is None:
            offset = 0
            for begin, end, other in placed:  # ascending
                if other.start < buffer.end and buffer.start < other.end:
                    if begin - offset >= buffer.bytes:
                        break
                    offset = max(offset, end)
        offsets[buffer.key] = offset
        insort(placed, (offset, offset + buffer.bytes, buffer), key=lambda entry: entry[0])
    return offsets, max((end for _, end, _ in placed), default=0)
