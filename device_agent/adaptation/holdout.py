"""Which windows are held out: whole blocks of time, so that neighbours never stand on both sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Of every `every` blocks of `block` windows one is held out, and `gap` windows beside it belong to neither side.

    Sides are fixed by the window's id alone: a window that one run has held out, no other run has trained on.
    """

    block: int = 4
    every: int = 4
    gap: int = 1

    def __post_init__(self) -> None:
        if self.block < 1 or self.every < 2 or not 0 <= self.gap < self.block * (self.every - 1) / 2:
            raise ValueError(f"{self}: expected block 1 or more, every 2 or more, and windows left between the gaps")

    def held_out(self, window: int) -> bool:
        return window // self.block % self.every == self.every - 1

    def in_training(self, window: int) -> bool:
        """Neither held out nor within `gap` windows of one that is."""
        return not any(self.held_out(near) for near in range(max(window - self.gap, 0), window + self.gap + 1))

    def split(self, windows: Iterable[int]) -> tuple[list[int], list[int]]:
        """Windows to train on, and windows held out."""
        every = list(windows)
        return [w for w in every if self.in_training(w)], [w for w in every if self.held_out(w)]
