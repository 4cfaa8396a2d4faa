"""Lab Streaming Layer: a signal stream, and a stream of markers, from anywhere in the network."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from device_agent.sources.gaps import StampForm, StampWatch
from device_agent.sources.live import MarkerStream, Samples, SampleStream
from schemas.errors import UserError

_FIND_S = 10.0
"""So long a stream is looked for."""
_WAIT_S = 0.05
_MOST_SAMPLES = 4096
_RATE_TOLERANCE = 1e-3


def lsl() -> Any:
    """Raises UserError where pylsl, or the library below it, is missing."""
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:
        raise UserError(f"LSL needs the package pylsl ({error}): pip install 'biotrain[live]'") from None
    return pylsl


class LslStream(SampleStream):
    """Stamps come corrected to this computer's clock (`proc_clocksync`); gaps and drift are read from them."""

    def __init__(self, name: str, find_s: float = _FIND_S) -> None:
        self._name, self._find_s = name, find_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lsl")
        self._inlet: Any = None
        self._order: list[int] = []
        self._watch, self._form = StampWatch(1.0), StampForm(name, 1.0)
        self._offset_s: float | None = None
        self._epoch_s = 0.0
        """LSL's clock counts from the machine's start; add this for seconds since the epoch."""

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open, channels, rate_hz)

    async def read(self) -> list[Samples] | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read)

    async def close(self) -> None:
        if self._inlet is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._inlet.close_stream)
        self._thread.shutdown(wait=False)

    def clock(self) -> tuple[float | None, float | None]:
        return self._offset_s, self._watch.drift_ppm

    def _open(self, channels: tuple[str, ...], rate_hz: float) -> None:
        pylsl = lsl()
        self._inlet = _connect(self._name, self._find_s)
        info = self._inlet.info()
        nominal_hz = info.nominal_srate()
        if abs(nominal_hz / rate_hz - 1) > _RATE_TOLERANCE:
            given = f"{nominal_hz:g} Hz" if nominal_hz else "an irregular rate"
            raise UserError(
                f"LSL stream {self._name!r} has {given}, the plan expects {rate_hz:g} Hz: choose a plan that "
                "was made for it, or another stream"
            )
        self._order = _order(_labels(info), channels, self._name)
        self._watch, self._form = StampWatch(rate_hz), StampForm(self._name, rate_hz)
        self._offset_s = -float(self._inlet.time_correction(timeout=self._find_s))
        self._epoch_s = time.time() - pylsl.local_clock()
        self._inlet.open_stream(timeout=self._find_s)

    def _read(self) -> list[Samples]:
        values, stamps = self._inlet.pull_chunk(timeout=_WAIT_S, max_samples=_MOST_SAMPLES)
        if not stamps:
            return []
        self._form.check(stamps)
        taken = np.asarray(values, np.float64)[:, self._order]
        blocks: list[Samples] = []
        begin, gap = 0, 0
        for index, stamp_s in enumerate(stamps):
            missing = self._watch.take(stamp_s)
            if missing:
                if index > begin:
                    blocks.append(Samples(taken[begin:index], stamps[index - 1] + self._epoch_s, gap))
                begin, gap = index, missing
        blocks.append(Samples(taken[begin:], stamps[-1] + self._epoch_s, gap))
        return blocks


class LslMarkers(MarkerStream):
    """A stream of texts, for a signal from anywhere."""

    def __init__(self, name: str, find_s: float = _FIND_S) -> None:
        self._name, self._find_s = name, find_s
        self._inlet: Any = None
        self._epoch_s = 0.0

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._open)

    async def read(self) -> tuple[tuple[float, str], ...]:
        values, stamps = self._inlet.pull_chunk(timeout=0.0)
        return tuple((stamp_s + self._epoch_s, str(value[0])) for value, stamp_s in zip(values, stamps, strict=True))

    async def close(self) -> None:
        if self._inlet is not None:
            self._inlet.close_stream()

    def _open(self) -> None:
        self._inlet = _connect(self._name, self._find_s)
        self._epoch_s = time.time() - lsl().local_clock()
        self._inlet.open_stream(timeout=self._find_s)


def _connect(name: str, find_s: float) -> Any:
    pylsl = lsl()
    found = pylsl.resolve_byprop("name", name, timeout=find_s)
    if not found:
        others = ", ".join(sorted({info.name() for info in pylsl.resolve_streams(wait_time=1.0)})) or "none at all"
        raise UserError(f"no LSL stream is named {name!r} (there are: {others}): start it, or check its name")
    return pylsl.StreamInlet(found[0], max_buflen=60, recover=True, processing_flags=pylsl.proc_clocksync)


def _labels(info: Any) -> list[str]:
    """Channel names as the XDF convention writes them; empty where the sender gave none."""
    labels, channel = [], info.desc().child("channels").child("channel")
    for _ in range(info.channel_count()):
        label = channel.child_value("label")
        if not label:
            return [""] * info.channel_count()
        labels.append(label)
        channel = channel.next_sibling()
    return labels


def _order(labels: list[str], wanted: tuple[str, ...], name: str) -> list[int]:
    if set(wanted) <= set(labels):
        return [labels.index(channel) for channel in wanted]
    if not any(labels) and len(labels) == len(wanted):
        return list(range(len(labels)))  # a sender that names none means them in order
    missing = next(channel for channel in wanted if channel not in labels)
    shown = ", ".join(labels) if any(labels) else f"{len(labels)} channels without names"
    raise UserError(f"LSL stream {name!r} has no channel {missing!r} (it has {shown}): the wearable's plan needs it")
