"""A wearable in plain Python, for tests of the agent alone: softmax regression on a coarse picture of the window.

It holds what the real one holds: a log that is repeated until acknowledged, two banks, fits that take time, requests
that fail when the link is cut. `Device` is what survives a cut link; `FakeWearable` is one connection to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from device_agent.sources.window import Window
from device_agent.wearable.api import (
    Bank,
    DeviceEvent,
    DeviceEventKind,
    FitRequest,
    WearableError,
    WearableInfo,
    WearableLost,
    WearableStatistics,
    WindowReport,
)

Array = npt.NDArray[np.float64]
_PIECES = 20


def features(window: Window) -> Array:
    """Means over twenty pieces of each channel, centred, in units of 200."""
    values = window.values.astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    pieces = [piece.mean(axis=1) for piece in np.array_split(values, _PIECES, axis=1)]
    return np.append(np.concatenate(pieces) / 200.0, 1.0)


def probabilities(weights: Array, x: Array) -> Array:
    logits = x @ weights
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


@dataclass
class Device:
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    samples: int
    sampling_rate_hz: float
    device_id: str = "fake-1"
    boot: int = 1
    epoch_s: float = 0.002
    ring_capacity: int = 1200
    plan: bytes = b"plan"
    ring: dict[int, tuple[Array, int | None]] = field(default_factory=dict)
    log: list[DeviceEvent] = field(default_factory=list)
    """What has not been acknowledged."""
    everything: list[DeviceEvent] = field(default_factory=list)
    """What ever happened: the wearable's own log, for the checker."""
    seq: int = 0
    version: int = 1
    candidate: Array | None = None
    previous: Array | None = None
    fit: asyncio.Task[None] | None = None
    fit_id: int = 0
    windows: int = 0
    reachable: bool = True
    frames_corrupt: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pushed: list[int] = field(default_factory=list)
    serving: Array = field(init=False)

    def __post_init__(self) -> None:
        self.serving = np.zeros((len(self.channels) * _PIECES + 1, len(self.classes)))

    def tell(self, kind: DeviceEventKind, **more: object) -> None:
        self.seq += 1
        event = replace(DeviceEvent(self.boot, self.seq, kind, self.seq * 1000), **more)  # type: ignore[arg-type]
        self.log.append(event)
        self.everything.append(event)
        self.changed.set()

    def restart(self) -> None:
        """Power off and on: ring, candidate and a running fit are gone; log and serving weights stay."""
        self.cut()
        if self.fit is not None:
            self.fit.cancel()
        self.fit, self.candidate, self.fit_id = None, None, 0
        self.ring.clear()
        self.boot, self.seq = self.boot + 1, 0
        self.tell(DeviceEventKind.BOOTED)

    def cut(self) -> None:
        """The link breaks now; connections that are open stay broken."""
        for connection in self.connections:
            connection.broken = True
        self.connections.clear()
        self.changed.set()

    connections: list[FakeWearable] = field(default_factory=list)

    async def connect(self) -> FakeWearable:
        await asyncio.sleep(0)
        if not self.reachable:
            raise WearableLost("connection refused", executed=False)
        connection = FakeWearable(self)
        self.connections.append(connection)
        return connection


class FakeWearable:
    """Implements the Wearable protocol."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.broken = False

    @property
    def info(self) -> WearableInfo:
        d = self.device
        return WearableInfo(
            device_id=d.device_id,
            firmware="fake",
            protocol=1,
            boot=d.boot,
            plan_hash="ab" * 32 if d.plan else "",
            model="softmax",
            classes=d.classes,
            channels=d.channels,
            samples=d.samples,
            sampling_rate_hz=d.sampling_rate_hz,
            weights_version=d.version,
            ring_capacity=d.ring_capacity,
        )

    async def _link(self) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise WearableLost("the link was cut")

    async def push(self, window: Window) -> WindowReport:
        await self._link()
        d, x = self.device, features(window)
        d.ring[window.id] = (x, window.label)
        while len(d.ring) > d.ring_capacity:
            d.ring.pop(next(iter(d.ring)))
        d.windows += 1
        d.pushed.append(window.id)
        p = probabilities(d.serving, x)
        ordered = np.sort(p)
        flat = sum(1 << c for c, row in enumerate(window.counts) if (row == row[0]).all())
        ends = (window.counts == 32767) | (window.counts == -32768)
        return WindowReport(
            window_id=window.id,
            time_us=0,
            predicted=int(p.argmax()),
            probabilities=tuple(float(q) for q in p),
            margin=float(ordered[-1] - ordered[-2]),
            entropy=float(-(p * np.log(p + 1e-12)).sum()),
            weights_version=d.version,
            flat_channels=flat,
            saturated_channels=sum(1 << c for c, row in enumerate(ends) if row.any()),
        )

    async def label(self, window_id: int, label: int) -> None:
        await self._link()
        self.device.ring[window_id] = (self.device.ring[window_id][0], label)

    async def start_fit(self, request: FitRequest) -> None:
        await self._link()
        d = self.device
        if d.fit is not None or d.candidate is not None:
            raise WearableError("BUSY", "a fit is running or its candidate waits")
        missing = [w for w in request.window_ids if w not in d.ring]
        if missing:
            raise WearableError("UNKNOWN_WINDOW", f"window {missing[0]} is not in the ring")
        d.fit_id = request.fit_id
        d.tell(DeviceEventKind.FIT_STARTED, fit_id=d.fit_id)
        d.fit = asyncio.create_task(self._run_fit(request))

    async def _run_fit(self, request: FitRequest) -> None:
        d = self.device
        x = np.stack([d.ring[w][0] for w in request.window_ids])
        y = np.array([d.ring[w][1] for w in request.window_ids])
        weights, target = d.serving.copy(), np.eye(len(d.classes))[y]
        for epoch in range(1, request.epochs + 1):
            await asyncio.sleep(d.epoch_s)
            for _ in range(10):
                weights -= 0.5 * x.T @ (probabilities(weights, x) - target) / len(y)
            loss = float(-np.log((probabilities(weights, x) * target).sum(axis=1) + 1e-12).mean())
            d.tell(
                DeviceEventKind.FIT_PROGRESS, fit_id=d.fit_id, epoch=epoch, step=epoch, steps=request.epochs, loss=loss
            )
        d.fit, d.candidate = None, weights
        d.tell(DeviceEventKind.FIT_DONE, fit_id=d.fit_id, epoch=request.epochs, loss=loss)

    async def stop_fit(self) -> None:
        await self._link()
        d = self.device
        if d.fit is None:
            raise WearableError("NO_FIT", "no fit is running")
        d.fit.cancel()
        d.fit = None
        d.tell(DeviceEventKind.DISCARDED, fit_id=d.fit_id)

    async def evaluate(self, window_ids: Sequence[int], bank: Bank) -> list[int]:
        await self._link()
        d = self.device
        weights = {Bank.SERVING: d.serving, Bank.CANDIDATE: d.candidate, Bank.PREVIOUS: d.previous}[bank]
        if weights is None:
            raise WearableError("NO_CANDIDATE", f"there are no {bank} weights")
        return [int(probabilities(weights, d.ring[w][0]).argmax()) for w in window_ids]

    async def commit(self, *, refine: bool = False) -> int:
        await self._link()
        d = self.device
        if d.candidate is None:
            raise WearableError("NO_CANDIDATE", "there is nothing to commit")
        if not (refine and d.previous is not None):
            d.previous = d.serving
        d.serving, d.candidate = d.candidate, None
        d.version += 1
        d.tell(DeviceEventKind.COMMITTED, fit_id=d.fit_id, weights_version=d.version)
        return d.version

    async def discard(self) -> None:
        await self._link()
        self.device.candidate = None
        self.device.tell(DeviceEventKind.DISCARDED, fit_id=self.device.fit_id)

    async def roll_back(self) -> int:
        await self._link()
        d = self.device
        if d.previous is None:
            raise WearableError("NOTHING_BEFORE", "there are no weights before these")
        d.serving, d.previous = d.previous, None
        d.version -= 1
        d.tell(DeviceEventKind.ROLLED_BACK, weights_version=d.version)
        return d.version

    async def read_weights(self, bank: Bank = Bank.SERVING) -> bytes:
        await self._link()
        return self.device.serving.tobytes()

    async def write_weights(self, file: bytes) -> None:
        await self._link()
        self.device.serving = np.frombuffer(file).reshape(self.device.serving.shape).copy()
        self.device.tell(DeviceEventKind.WEIGHTS_WRITTEN, weights_version=self.device.version)

    async def read_plan(self) -> bytes:
        await self._link()
        return self.device.plan

    async def write_plan(self, file: bytes) -> None:
        await self._link()
        self.device.plan = file
        self.device.tell(DeviceEventKind.PLAN_ACCEPTED)

    async def statistics(self) -> WearableStatistics:
        await self._link()
        d = self.device
        return WearableStatistics(
            uptime_us=1,
            windows=d.windows,
            ring_windows=len(d.ring),
            events_pending=len(d.log),
            fit_steps=0,
            total_bytes=1000,
            resident_bytes=100,
            l2_peak_bytes=1100,
            frames_corrupt=d.frames_corrupt,
            weights_version=d.version,
            fitting=d.fit is not None,
            candidate=d.candidate is not None,
        )

    async def events(self) -> AsyncIterator[DeviceEvent]:
        seen: set[tuple[int, int]] = set()
        while True:
            self.device.changed.clear()
            for event in list(self.device.log):
                if (event.boot, event.seq) not in seen:
                    seen.add((event.boot, event.seq))
                    await self._link()
                    yield event
            if self.broken:
                raise WearableLost("the link was cut")
            await self.device.changed.wait()

    async def acknowledge(self, boot: int, seq: int) -> None:
        await self._link()
        self.device.log = [e for e in self.device.log if (e.boot, e.seq) > (boot, seq)]

    async def reports(self) -> AsyncIterator[WindowReport]:
        raise WearableError("NOT_RECORDING", "this wearable does not record by itself")
        yield

    async def start_recording(self) -> None:
        raise WearableError("NO_RECORDER", "this wearable does not record by itself")

    async def stop_recording(self) -> None:
        return None

    async def close(self) -> None:
        self.broken = True
        self.device.changed.set()
