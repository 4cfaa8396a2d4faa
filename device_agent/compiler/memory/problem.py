"""Which buffers live when. Lifetimes are half-open: [start, end)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Buffer(Generic[Key]):
    """`offset` is set where it has been decided already."""

    key: Key
    name: str
    bytes: int
    start: int
    end: int
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Problem(Generic[Key]):
    """Buffers of given size and lifetime that share one arena. Steps count from 0; `end` is the first step without
    it.
    """

    buffers: tuple[Buffer[Key], ...]

    def live_bytes(self, step: int) -> int:
        return sum(buffer.bytes for buffer in self.buffers if buffer.start <= step < buffer.end)

    def lower_bound(self) -> int:
        """The largest live set: no arena can be smaller."""
        return self.peak()[1]

    def peak(self) -> tuple[int, int]:
        """The first step at which most lives, and how many bytes these are."""
        changes: dict[int, int] = {}
        for buffer in self.buffers:
            changes[buffer.start] = changes.get(buffer.start, 0) + buffer.bytes
            changes[buffer.end] = changes.get(buffer.end, 0) - buffer.bytes
        best, at, live = 0, 0, 0
        for step in sorted(changes):
            live += changes[step]
            if live > best:
                best, at = live, step
        return at, best

    def steps_above(self, most: int) -> list[int]:
        """Steps at which more than `most` bytes live, one of each stretch between two changes."""
        return [step for step in sorted({buffer.start for buffer in self.buffers}) if self.live_bytes(step) > most]
