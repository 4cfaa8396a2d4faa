"""Cuts windows from a signal that never ends: one for each marker, or at a fixed pace. Pure: no clock, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device_agent.sources.quantise import MOST, quantised
from device_agent.sources.source import LateLabel
from device_agent.sources.window import Window

_HISTORY_S = 30.0
"""A marker may come so much later than its samples."""
_GRACE_S = 0.5
"""After so long, no marker is expected any more that concerns a sliding window."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a window is."""

    samples: int
    rate_hz: float
    classes: tuple[str, ...]
    hop: int | None = None
    """Samples from one window to the next; None: a window for each marker that names a class."""
    start: int = 0
    """Samples from the marker to the window's first one; negative: before it. Without `hop` only."""
    finest: float = 0.01
    """No count is worth less, in the signal's unit: below it lies the amplifier's noise."""
    coarsest: float = 0.1
    """Where a count would be worth more, the channel's offset goes first."""


class Slicer:
    """`feed` samples and `mark` events in any order; `take` what has become known.

    Windows are numbered from `first`. One that misses a sample is never given; it has its number and is counted in
    `lost`, unless no marker says that there should have been one. A sliding window comes without a label; its label
    follows when no marker can change it any more: the class whose marker was the last before its first sample, if no
    other marker came within it.
    """

    def __init__(self, cut: Cut, channels: int, first: int = 0) -> None:
        self._cut, self._next = cut, first
        self.lost = 0
        self.lost_samples = 0
        self._values = np.empty((0, channels))
        self._at = 0
        """Index of the first sample that is kept."""
        self._end = cut.samples
        """Where the next sliding window ends."""
        self._origin_s: float | None = None
        self._marks: deque[tuple[int, str]] = deque()
        self._in_force: str | None = None
        self._trials: list[tuple[int, int]] = []
        """First sample and class of windows that are still coming."""
        self._unlabelled: deque[tuple[int, int]] = deque()
        """First sample and number of sliding windows that wait for their label."""

    @property
    def _known(self) -> int:
        """Samples so far, lost ones included."""
        return self._at + len(self._values)

    def feed(self, values: npt.NDArray[np.float64], newest_s: float, gap: int = 0) -> None:
        """`values` [n, channels], the newest taken at `newest_s`; `gap` samples before them are missing."""
        if gap:
            self.lost_samples += gap
            missing = min(gap, round(2 * _HISTORY_S * self._cut.rate_hz) + 2 * self._cut.samples)
            self._at += gap - missing
            self._values = np.concatenate([self._values, np.full((missing, self._values.shape[1]), np.nan)])
        self._values = np.concatenate([self._values, values])
        self._origin_s = newest_s - (self._known - 1) / self._cut.rate_hz

    def mark(self, time_s: float, label: str) -> None:
        """An event at `time_s`, on the clock of `feed`."""
        if self._origin_s is None:
            return
        at = round((time_s - self._origin_s) * self._cut.rate_hz)
        if self._cut.hop is not None:
            self._marks.append((at, label))
        elif label in self._cut.classes:
            self._trials.append((at + self._cut.start, self._cut.classes.index(label)))

    def take(self) -> list[Window | LateLabel]:
        """In the order of their numbers."""
        items: list[Window | LateLabel] = []
        if self._cut.hop is None:
            whole = [trial for trial in self._trials if trial[0] + self._cut.samples <= self._known]
            self._trials = [trial for trial in self._trials if trial not in whole]
            for start, label in sorted(whole):
                self._emit(items, start, label)
        else:
            while self._end <= self._known:
                start = self._end - self._cut.samples
                number = self._emit(items, start, None)
                if number is not None:
                    self._unlabelled.append((start, number))
                self._end += self._cut.hop
            self._settle(items)
        self._forget()
        return items

    def _emit(self, items: list[Window | LateLabel], start: int, label: int | None) -> int | None:
        number, self._next = self._next, self._next + 1
        values = self._values[start - self._at : start - self._at + self._cut.samples] if start >= self._at else None
        if values is None or not np.isfinite(values).all():
            self.lost += 1
            return None
        assert self._origin_s is not None
        counts, scale = quantised(_within_range(values, self._cut.coarsest).T, self._cut.finest)
        ended_s = self._origin_s + (start + self._cut.samples) / self._cut.rate_hz
        items.append(Window(number, counts, scale, self._cut.rate_hz, ended_s, label, start))
        return number

    def _settle(self, items: list[Window | LateLabel]) -> None:
        """Labels of sliding windows that ended long enough ago."""
        ripe = self._known - round(_GRACE_S * self._cut.rate_hz)
        self._marks = deque(sorted(self._marks))
        while self._unlabelled and self._unlabelled[0][0] + self._cut.samples <= ripe:
            start, number = self._unlabelled.popleft()
            while self._marks and self._marks[0][0] <= start:
                self._in_force = self._marks.popleft()[1]
            changes = self._marks and self._marks[0][0] < start + self._cut.samples
            if not changes and self._in_force in self._cut.classes:
                items.append(LateLabel(number, self._cut.classes.index(self._in_force)))

    def _forget(self) -> None:
        spare = len(self._values) - round(_HISTORY_S * self._cut.rate_hz) - self._cut.samples - abs(self._cut.start)
        if spare > len(self._values) // 4:
            self._values = self._values[spare:].copy()
            self._at += spare


def _within_range(values: npt.NDArray[np.float64], coarsest: float) -> npt.NDArray[np.float64]:
    """Channels whose offset leaves no room for the signal lose the offset (electrodes in millivolts, 24-bit boards)."""
    wide = np.abs(values).max(axis=0) > coarsest * MOST
    return values - np.where(wide, np.median(values, axis=0), 0.0)
