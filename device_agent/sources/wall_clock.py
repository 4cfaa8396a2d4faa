"""A stream of windows on a wall clock: it keeps its own pace, and never waits for whoever reads it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window


class WallClockSource:
    """`async with` it, then `async for window in source`.

    Window k is due at `anchor_s` + end of k / `speed`. Up to `capacity` windows wait for a slow reader; then the
    oldest are lost, and counted in `lost`. Given the anchor of an earlier run and the last window handled then, it
    carries on in the same timeline: windows whose time has passed meanwhile are lost too.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        speed: float = 1.0,
        anchor_s: float | None = None,
        after: int | None = None,
        capacity: int = 32,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed is {speed}, expected more than 0 (1 is real time)")
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, expected 1 or more")
        self._timeline, self._speed, self._capacity, self._clock = timeline, speed, capacity, clock
        self.anchor_s = clock() if anchor_s is None else anchor_s
        """When the stream began, seconds since the epoch. Keep it to carry on after a restart."""
        self.lost = 0
        """Windows that nobody will see."""
        self._next = 0 if after is None else min(max(after + 1 - timeline.first_id, 0), len(timeline))
        self._resumed = after is not None or anchor_s is not None
        self._waiting: deque[Window] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._feeder: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._resumed:
            self._skip_past()
        self._feeder = asyncio.create_task(self._feed(), name="source")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.gather(self._feeder, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[Window]:
        if self._feeder is None:
            raise RuntimeError("enter the source with `async with` before reading it")
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()

    def due_s(self, index: int) -> float:
        """When window `index` (from 0) is complete, seconds since the epoch."""
        return self.anchor_s + self._timeline.end_s(index) / self._speed

    def _skip_past(self) -> None:
        now = self._clock()
        while self._next < len(self._timeline) and self.due_s(self._next) < now:
            self._next += 1
            self.lost += 1

    async def _feed(self) -> None:
        try:
            while self._next < len(self._timeline):
                due_s = self.due_s(self._next)
                wait_s = due_s - self._clock()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                    continue  # a timer may fire a little early
                self._emit(self._timeline.window(self._next, due_s))
                self._next += 1
        finally:
            self._ended = True
            self._changed.set()

    def _emit(self, window: Window) -> None:
        if len(self._waiting) >= self._capacity:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(window)
        self._changed.set()
