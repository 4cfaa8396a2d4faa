"""The agent's surroundings inside one process: a broker that keeps what is published, a wearable that is watched, and
a source that does not run on while the device trains, so that a run does not depend on how fast this computer is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from device_agent.sources.source import Item, WindowSource
from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window
from device_agent.wearable.api import FitRequest, Wearable, WearableError, WindowReport
from messaging import Delivery
from schemas.stored import SeqRange, Stored
from schemas.topics import DeviceTopic, Kind

_TURNS = 20
"""Of the event loop, in which tasks that waited for the last window wake up and say that they are busy."""


class KeepingBroker:
    """What the agent asks of `messaging.Broker`; every message is kept, and acknowledged as stored."""

    def __init__(self) -> None:
        self.connected = True
        self.counters = SimpleNamespace(connections=1)
        self.messages: list[tuple[Kind, dict[str, Any]]] = []
        """Kind and payload, in the order in which the agent made them."""
        self._stored: asyncio.Queue[Delivery] = asyncio.Queue()

    async def next_connection(self, after: int = 0) -> int:
        return 1

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        parsed = DeviceTopic.parse(topic)
        content = json.loads(payload)
        self.messages.append((parsed.kind, content))
        if "seq" not in content:
            return  # retained, not sequenced: nobody acknowledges it
        seen = SeqRange(boot=content["boot"], first=content["seq"], last=content["seq"])
        answer = Stored(site=parsed.site, device=parsed.device, ranges=[seen]).to_json()
        back = str(DeviceTopic(parsed.site, parsed.device, Kind.STORED))
        self._stored.put_nowait(Delivery(back, answer, qos=1, acknowledge=lambda: True))

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        while True:
            yield await self._stored.get()

    def of(self, kind: Kind) -> list[dict[str, Any]]:
        return [content for found, content in self.messages if found is kind]


@dataclass
class Seen:
    """Predictions of the stream's windows, in order."""

    first: int
    """The stream's first window; those before belong to calibration."""
    labels: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    features: list[list[float]] = field(default_factory=list)
    newest: int = -1
    weights_before: bytes = b""
    weights_after: bytes = b""
    """Weights files of what serves when the stream begins, and when it has ended."""
    fits: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    """The newest window when a fit was asked for, and the windows that it learns from."""

    def take(self, window: Window, report: WindowReport) -> None:
        if window.id < self.first or window.label is None:
            return
        self.labels.append(window.label)
        self.predicted.append(report.predicted)
        self.entropy.append(report.entropy)
        self.margin.append(report.margin)
        self.features.append(list(report.features))


class WatchedWearable:
    """A wearable whose reports are noted; everything else is its own."""

    def __init__(self, wearable: Wearable, seen: Seen) -> None:
        self._wearable, self._seen = wearable, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wearable, name)

    async def push(self, window: Window) -> WindowReport:
        if window.id >= self._seen.first and not self._seen.weights_before:
            self._seen.weights_before = await self._wearable.read_weights()
        report = await self._wearable.push(window)
        self._seen.newest = max(self._seen.newest, window.id)
        self._seen.take(window, report)
        return report

    async def close(self) -> None:
        with contextlib.suppress(WearableError):  # closed before
            self._seen.weights_after = await self._wearable.read_weights()
        await self._wearable.close()

    async def start_fit(self, request: FitRequest) -> None:
        self._seen.fits.append((self._seen.newest, tuple(request.window_ids)))
        await self._wearable.start_fit(request)


class SteppedSource(WindowSource):
    """The next window comes when the agent is done with the last one and no adaptation is in flight."""

    def __init__(
        self, timeline: Timeline, busy: Callable[[], bool], began_s: float, on_window: Callable[[], None]
    ) -> None:
        self._timeline, self._busy, self._on_window = timeline, busy, on_window
        self.anchor_s, self.lost = began_s, 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def __aiter__(self) -> AsyncIterator[Item]:
        for index in range(len(self._timeline)):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            while self._busy():  # noqa: ASYNC110 - an adaptation may end in many places
                await asyncio.sleep(0.001)
            yield self._timeline.window(index, self.anchor_s + self._timeline.end_s(index))
            self._on_window()
