"""Offsets by greedy placement in several orders; the smallest arena wins."""

from __future__ import annotations

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


def solve(problem: Problem[Key]) -> tuple[dict[Key, int], int]:
    """Offsets (bytes) and the size of the arena. Buffers that have an offset keep it."""
    return min((_place(problem, key) for key in ORDERS.values()), key=lambda solution: solution[1])


def _place(problem: Problem[Key], order: Callable[[Buffer[Key]], tuple[int, ...]]) -> tuple[dict[Key, int], int]:
    placed: list[tuple[Buffer[Key], int]] = []
    decided = [buffer for buffer in problem.buffers if buffer.offset is not None]
    for buffer in decided + sorted((b for b in problem.buffers if b.offset is None), key=order):
        if buffer.offset is not None:
            placed.append((buffer, buffer.offset))
            continue
        neighbours = sorted(
            (offset, offset + other.bytes)
            for other, offset in placed
            if other.start < buffer.end and buffer.start < other.end
        )
        offset = 0
        for begin, end in neighbours:
            if begin - offset >= buffer.bytes:
                break
            offset = max(offset, end)
        placed.append((buffer, offset))
    return {b.key: offset for b, offset in placed}, max((o + b.bytes for b, o in placed), default=0)
