"""A stream of windows on a wall clock: it keeps its own pace, and never waits for whoever reads it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from device_agent.sources.labels import LabelTiming
from device_agent.sources.source import Item, LateLabel, WindowSource
from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window


class WallClockSource(WindowSource):
    """Window k is due at `anchor_s` + end of k / `speed`, its label `labels.delay_s` / `speed` later.

    Up to `capacity` windows wait for a slow reader; then the oldest are lost, and counted in `lost`. No label is lost.
    Given the anchor of an earlier run and the last window handled then, it carries on in the same timeline: windows
    whose time has passed meanwhile are lost too; their labels, and those that came due meanwhile, are told.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        speed: float = 1.0,
        anchor_s: float | None = None,
        after: int | None = None,
        capacity: int = 32,
        labels: LabelTiming | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed is {speed}, expected more than 0 (1 is real time)")
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, expected 1 or more")
        self._timeline, self._speed, self._capacity, self._clock = timeline, speed, capacity, clock
        self._labels = labels or LabelTiming()
        self.anchor_s = clock() if anchor_s is None else anchor_s
        self.lost = 0
        self._next = 0 if after is None else min(max(after + 1 - timeline.first_id, 0), len(timeline))
        self._next_label = self._next
        self._resumed = after is not None or anchor_s is not None
        self._waiting: deque[Item] = deque()
        self._windows_waiting = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._feeder: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._resumed:
            self._go_back_to_labels()
            self._skip_past()
        self._feeder = asyncio.create_task(self._feed(), name="source")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.gather(self._feeder, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Item]:
        if self._feeder is None:
            raise RuntimeError("enter the source with `async with` before reading it")
        while True:
            while self._waiting:
                item = self._waiting.popleft()
                self._windows_waiting -= isinstance(item, Window)
                yield item
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()

    @property
    def windows_waiting(self) -> int:
        return self._windows_waiting

    def due_s(self, index: int) -> float:
        """When window `index` (from 0) is complete, seconds since the epoch."""
        return self.anchor_s + self._timeline.end_s(index) / self._speed

    def label_due_s(self, index: int) -> float:
        return self.due_s(index) + self._labels.delay_s / self._speed

    def _go_back_to_labels(self) -> None:
        """The first label that was not due yet when the last window was handled."""
        if not self._labels.late or not self._next:
            return
        handled_s = self.due_s(self._next - 1)
        while self._next_label and self.label_due_s(self._next_label - 1) > handled_s:
            self._next_label -= 1

    def _skip_past(self) -> None:
        now = self._clock()
        while self._next < len(self._timeline) and self.due_s(self._next) < now:
            self._next += 1
            self.lost += 1

    async def _feed(self) -> None:
        try:
            if not self._labels.late:
                self._next_label = len(self._timeline)
            while (due_s := min(self._due())) < float("inf"):
                wait_s = due_s - self._clock()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                    continue  # a timer may fire a little early
                window_s, label_s = self._due()
                if window_s <= label_s:
                    self._emit_window(self._next, window_s)
                    self._next += 1
                else:
                    self._emit_label(self._next_label)
                    self._next_label += 1
        finally:
            self._ended = True
            self._changed.set()

    def _due(self) -> tuple[float, float]:
        """Of the next window, and of the next label."""
        last, never = len(self._timeline), float("inf")
        return (
            self.due_s(self._next) if self._next < last else never,
            self.label_due_s(self._next_label) if self._next_label < last else never,
        )

    def _emit_window(self, index: int, due_s: float) -> None:
        window = self._timeline.window(index, due_s)
        if self._labels.late or not self._labels.labelled(window.id):
            window = replace(window, label=None)
        if self._windows_waiting >= self._capacity:
            del self._waiting[next(i for i, item in enumerate(self._waiting) if isinstance(item, Window))]
            self._windows_waiting -= 1
            self.lost += 1
        self._windows_waiting += 1
        self._emit(window)

    def _emit_label(self, index: int) -> None:
        known = self._timeline.window(index, 0.0)
        if known.label is not None and self._labels.labelled(known.id):
            self._emit(LateLabel(known.id, known.label))

    def _emit(self, item: Item) -> None:
        self._waiting.append(item)
        self._changed.set()
