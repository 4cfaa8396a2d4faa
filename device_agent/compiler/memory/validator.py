"""Checks a solution by brute force: any two buffers that ever live together must not touch."""

from __future__ import annotations

from itertools import combinations

from device_agent.compiler.memory.problem import Key, Problem


def validate(problem: Problem[Key], offsets: dict[Key, int], arena: int) -> None:
    """Raises AssertionError naming the two buffers, or the one that sticks out."""
    for buffer in problem.buffers:
        at = offsets[buffer.key]
        if at < 0 or at % 4 or at + buffer.bytes > arena:
            raise AssertionError(f"{buffer.name} at {at} sticks out of an arena of {arena} bytes")
    for one, other in combinations(problem.buffers, 2):
        together = max(one.start, other.start) < min(one.end, other.end)
        a, b = offsets[one.key], offsets[other.key]
        if together and max(a, b) < min(a + one.bytes, b + other.bytes):
            raise AssertionError(f"{one.name} and {other.name} live together and overlap")
