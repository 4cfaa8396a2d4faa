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
    buffers: tuple[Buffer[Key], ...]

    def live_bytes(self, step: int) -> int:
        return sum(buffer.bytes for buffer in self.buffers if buffer.start <= step < buffer.end)

    def lower_bound(self) -> int:
        """The largest live set: no arena can be smaller."""
        return max((self.live_bytes(buffer.start) for buffer in self.buffers), default=0)
