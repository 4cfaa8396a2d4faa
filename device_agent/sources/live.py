"""Sources that are alive: a board or a network stream gives samples, this file makes a stream of windows of them."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import structlog

from device_agent.sources.slicing import Cut, Slicer
from device_agent.sources.source import Item, SourceHealth, Start, WindowSource
from device_agent.sources.window import Window

_log = structlog.get_logger("agent")
_STALLED_S = 5.0
"""Without a sample for so long, the log says so."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What came since the last time."""

    values: npt.NDArray[np.float64]
    """[n, channels], in the order that was asked for; n may be 0."""
    newest_s: float
    """When the newest was taken, seconds since the epoch."""
    gap: int = 0
    """Samples that are missing before these."""
    marks: tuple[tuple[float, str], ...] = ()
    """Events: when, seconds since the epoch, and what."""


class SampleStream(ABC):
    """A board or a network stream."""

    @abstractmethod
    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        """Raises UserError when these channels at this rate are not to be had."""

    @abstractmethod
    async def read(self) -> list[Samples] | None:
        """What has come, perhaps nothing, within a tenth of a second or so; None when there will never be more."""

    @abstractmethod
    async def close(self) -> None: ...

    def clock(self) -> tuple[float | None, float | None]:
        """Offset (s) of the stream's clock from this computer's, and its drift (parts in a million), where known."""
        return None, None


class MarkerStream(ABC):
    """Events from elsewhere, on this computer's clock."""

    @abstractmethod
    async def open(self) -> None:
        """Raises UserError when it is not to be had."""

    @abstractmethod
    async def read(self) -> tuple[tuple[float, str], ...]:
        """What has come, at once: when, seconds since the epoch, and what."""

    @abstractmethod
    async def close(self) -> None: ...


class WithMarkers(SampleStream):
    """A board without markers of its own, and a stream of markers beside it."""

    def __init__(self, samples: SampleStream, markers: MarkerStream) -> None:
        self._samples, self._markers = samples, markers

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        await self._markers.open()
        try:
            await self._samples.open(channels, rate_hz, classes)
        except BaseException:
            await self._markers.close()
            raise

    async def read(self) -> list[Samples] | None:
        blocks, marks = await self._samples.read(), await self._markers.read()
        if blocks is None or not marks:
            return blocks
        return [*blocks, Samples(np.empty((0, 0)), 0.0, 0, marks)]

    async def close(self) -> None:
        await self._markers.close()
        await self._samples.close()

    def clock(self) -> tuple[float | None, float | None]:
        return self._samples.clock()


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How windows are cut."""

    hop_s: float | None = None
    """Sliding windows; None: one for each marker."""
    start_s: float = 0.0
    """From a marker to its window."""


class LiveSource(WindowSource):
    """What a window is follows from the wearable's plan. After a restart it goes on with the next number."""

    def __init__(self, stream: SampleStream, options: LiveOptions, start: Start) -> None:
        self._stream, self._options, self._start = stream, options, start
        self.anchor_s = time.time() if start.anchor_s is None else start.anchor_s
        self._first = start.first if start.after is None else start.after + 1
        self._overrun = 0
        self._slicer: Slicer | None = None
        self._waiting: deque[Item] = deque()
        self._changed = asyncio.Event()
        self._ended: BaseException | bool = False
        self._feeder: asyncio.Task[None] | None = None
        self._heard_s = time.monotonic()
        self._silent = False

    @property
    def lost(self) -> int:  # type: ignore[override]
        return self._overrun + (self._slicer.lost if self._slicer is not None else 0)

    @property
    def health(self) -> SourceHealth | None:
        if self._slicer is None:
            return None
        offset_s, drift_ppm = self._stream.clock()
        return SourceHealth(self._slicer.lost_samples, offset_s, drift_ppm, self._silent)

    async def __aenter__(self) -> Self:
        info = (await self._start.wearable()).info
        rate_hz = info.sampling_rate_hz
        hop_s, start_s = self._options.hop_s, self._options.start_s
        hop = None if hop_s is None else max(round(hop_s * rate_hz), 1)
        cut = Cut(info.samples, rate_hz, info.classes, hop, round(start_s * rate_hz))
        await self._stream.open(info.channels, rate_hz, info.classes)
        self._slicer = Slicer(cut, len(info.channels), self._first)
        self._feeder = asyncio.create_task(self._feed(self._slicer), name="source")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.gather(self._feeder, return_exceptions=True)
            await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if isinstance(self._ended, BaseException):
                raise self._ended
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()

    async def _feed(self, slicer: Slicer) -> None:
        self._heard_s = time.monotonic()
        try:
            while (blocks := await self._stream.read()) is not None:
                self._listen(any(len(block.values) for block in blocks))
                for block in blocks:
                    self._take(slicer, block)
            self._ended = True
        except BaseException as error:
            self._ended = error
            raise
        finally:
            self._changed.set()

    def _listen(self, came: bool) -> None:
        """A source that stalls, is unplugged or goes away is waited for, and told of."""
        now_s = time.monotonic()
        if came:
            if self._silent:
                _log.info("the source gives samples again", silent_s=round(now_s - self._heard_s, 1))
            self._heard_s, self._silent = now_s, False
        elif not self._silent and now_s - self._heard_s > _STALLED_S:
            self._silent = True
            _log.warning("the source gives no samples", seconds=_STALLED_S)

    def _take(self, slicer: Slicer, block: Samples) -> None:
        if len(block.values) or block.gap:
            slicer.feed(block.values, block.newest_s, block.gap)
        for time_s, label in block.marks:
            slicer.mark(time_s, label)
        for item in slicer.take():
            if isinstance(item, Window) and sum(isinstance(w, Window) for w in self._waiting) >= self._start.capacity:
                del self._waiting[next(i for i, old in enumerate(self._waiting) if isinstance(old, Window))]
                self._overrun += 1
            self._waiting.append(item)
        self._changed.set()
