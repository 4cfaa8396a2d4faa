"""The course of a calibration session: trials are shown, the signal beside them is cut at what was seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from device_agent.cueing.display import Display
from device_agent.cueing.protocol import Protocol, Trial, trials
from device_agent.recorder.files import session_of
from device_agent.recorder.spool import KeptWindow, StreamFacts
from device_agent.sources.live import SampleStream
from device_agent.sources.recording import Recording
from device_agent.sources.slicing import Cut, Slicer
from device_agent.sources.window import Window
from schemas.errors import UserError

_FIRST_SAMPLES_S = 10.0
_STALLED_S = 5.0
_LATE_S = 10.0
"""Samples of the last window come within so long, or never."""
#: Called with a class and when its cue was seen.
Mark = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """A cue as it was seen."""

    trial: int
    label: str
    seen_s: float
    """Seconds since the epoch."""


@dataclass
class Session:
    """What came of it; also of one that was broken off."""

    shown: list[Shown] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    lost_samples: int = 0
    lost_windows: int = 0

    def recording(self, protocol: Protocol, subject: str, session: int) -> Recording:
        """Raises UserError where no window is whole."""
        if not self.windows:
            raise UserError("no window was recorded: nothing is written")
        facts = StreamFacts(protocol.channels, protocol.samples, protocol.sampling_rate_hz, protocol.classes, unit="uV")
        kept = [
            KeptWindow(w.id, w.time_s, w.label, 0, 0.0, 0, False, w.sample, w.scale, w.counts) for w in self.windows
        ]
        return session_of(facts, kept, [w.label for w in self.windows if w.label is not None], subject, session)


class Conductor:
    """`run` fills `session`; whatever ends it early, what was recorded until then is there."""

    def __init__(
        self, protocol: Protocol, stream: SampleStream, display: Display, *, mark: Mark = lambda label, seen_s: None
    ) -> None:
        self._protocol, self._stream, self._display, self._mark = protocol, stream, display, mark
        rate = protocol.sampling_rate_hz
        cut = Cut(protocol.samples, rate, protocol.classes, None, round(protocol.window.start_s * rate))
        self._slicer = Slicer(cut, len(protocol.channels))
        self._heard_s: float | None = None
        self.session = Session()

    async def run(self, told: Callable[[Trial, int], None] = lambda trial, of: None) -> None:
        """Raises UserError: the stream does not fit, stalls or ends; the display is gone."""
        protocol = self._protocol
        course = trials(protocol)
        await self._stream.open(protocol.channels, protocol.sampling_rate_hz, protocol.classes)
        try:
            async with asyncio.TaskGroup() as tasks:
                feeder = tasks.create_task(self._feed(), name="signal")
                await self._first_samples()
                await self._display.wait_for_wearer()
                for trial in course:
                    told(trial, len(course))
                    await self._one(trial, len(course))
                await self._display.show("end", "Thank you", f"{len(course)} cues")
                await self._last_windows()
                feeder.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.session.lost_samples, self.session.lost_windows = self._slicer.lost_samples, self._slicer.lost
            await self._stream.close()

    async def _one(self, trial: Trial, of: int) -> None:
        protocol, note = self._protocol, f"{trial.number} of {of}"
        await self._display.show("ready", "", note)
        await asyncio.sleep(protocol.timing.ready_s)
        seen_s = await self._display.show("cue", protocol.cues[trial.label], note)
        self._slicer.mark(seen_s, trial.label)
        self.session.shown.append(Shown(trial.number, trial.label, seen_s))
        self._mark(trial.label, seen_s)
        await asyncio.sleep(max(seen_s + protocol.timing.cue_s - time.time(), 0.0))
        await self._display.show("rest", "", note)
        pause_s = trial.rest_s
        if trial.breaks and protocol.breaks is not None:
            pause_s += protocol.breaks.length_s
            await self._display.show("rest", "", f"{note}: a pause of {protocol.breaks.length_s:g} s")
        await asyncio.sleep(pause_s)

    async def _feed(self) -> None:
        while (blocks := await self._stream.read()) is not None:
            for block in blocks:
                if len(block.values) or block.gap:
                    self._slicer.feed(block.values, block.newest_s, block.gap)
                    self._heard_s = time.monotonic()
                for time_s, label in block.marks:
                    self._slicer.mark(time_s, label)
            self.session.windows += [item for item in self._slicer.take() if isinstance(item, Window)]
            if self._heard_s is not None and time.monotonic() - self._heard_s > _STALLED_S:
                raise UserError(
                    f"the stream has given no samples for {_STALLED_S:g} s, after {len(self.session.shown)} cues: "
                    "is the board on, and in reach?"
                )
        raise UserError(f"the stream has ended after {len(self.session.shown)} cues: is the board unplugged?")

    async def _first_samples(self) -> None:
        deadline_s = time.monotonic() + _FIRST_SAMPLES_S
        while self._heard_s is None:
            if time.monotonic() > deadline_s:
                raise UserError(f"the stream gave no samples within {_FIRST_SAMPLES_S:g} s: is the board on?")
            await asyncio.sleep(0.02)

    async def _last_windows(self) -> None:
        """Each cue gives a window or a lost one."""
        deadline_s = time.monotonic() + _LATE_S
        while len(self.session.windows) + self._slicer.lost < len(self.session.shown):
            if time.monotonic() > deadline_s:
                return
            await asyncio.sleep(0.02)
