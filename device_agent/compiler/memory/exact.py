"""Exact search for problems that are small enough: branch and bound over the order in which buffers are put down.

In some smallest arena no buffer could lie lower. It comes about by taking buffers in ascending order of their offsets,
each at the lowest place at or above the one before it where nothing that lives with it lies: all orders together find
it, and an order is given up where it sticks out.
"""

from __future__ import annotations

from device_agent.compiler.memory.problem import Buffer, Key, Problem

NODES = 20_000
"""So many buffers are put down before the search gives up: a second or two."""


def search(problem: Problem[Key], above: int, nodes: int = NODES) -> tuple[dict[Key, int] | None, bool]:
    """Offsets of the smallest arena below `above`, if there is one; and whether all orders have been tried."""
    fixed = [(b.offset, b) for b in problem.buffers if b.offset is not None]
    free = sorted((b for b in problem.buffers if b.offset is None), key=lambda b: (-b.bytes, b.start, b.name))
    bound, best, left = problem.lower_bound(), above, nodes
    found: dict[Key, int] | None = None

    def place(placed: list[tuple[int, Buffer[Key]]], waiting: list[Buffer[Key]], floor: int) -> bool:
        """False when the search has to end: nothing smaller is possible, or it has taken too long."""
        nonlocal best, found, left
        if not waiting:
            best = max(at + buffer.bytes for at, buffer in placed)
            found = {buffer.key: at for at, buffer in placed}
            return best > bound
        seen = set()
        for buffer in waiting:
            alike = (buffer.bytes, buffer.start, buffer.end)
            if alike in seen:  # it would give the same arenas
                continue
            seen.add(alike)
            if left <= 0:
                return False
            left -= 1
            at = _lowest(buffer, placed, floor)
            if at + buffer.bytes >= best:
                continue
            rest = [other for other in waiting if other is not buffer]
            if not place([*placed, (at, buffer)], rest, at):
                return False
        return True

    if len(free) > 200 or any(at + buffer.bytes >= above for at, buffer in fixed):
        return None, False
    ended = place(fixed, free, 0)
    return found, ended or best <= bound


def _lowest(buffer: Buffer[Key], placed: list[tuple[int, Buffer[Key]]], floor: int) -> int:
    """The lowest offset from `floor` on at which it touches nothing that lives at the same time."""
    at = floor
    living = [(o, o + b.bytes) for o, b in placed if b.start < buffer.end and buffer.start < b.end]
    for begin, end in sorted(living):
        if at + buffer.bytes <= begin:
            break
        at = max(at, end)
    return at
