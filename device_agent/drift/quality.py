"""Sensor faults: an electrode off or an amplifier at its end is no drift, and must never start an adaptation."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_agent.drift.clock import ClockWatch
from device_agent.drift.figures import Figures, figures
from device_agent.drift.reference import Reference, best_swap, correlation_of_changes
from device_agent.sources.window import Window
from device_agent.wearable.api import WindowReport
from schemas.fault import FaultKind

_LEARN = 60
"""Good windows that make a reference where there was no calibration."""
_FEWEST = 12
"""Windows without which a reference says nothing."""
_FLAT = 0.8
"""Share of a window without any change."""
_CLIPPED = 8
"""Samples in a row at the same extreme value, beyond twice what is usual."""
_MAINS = 1.5
_STEP = 1.3
_JUMP = 0.4
_LEVEL = 1.5
"""Natural logarithms above what is usual: factors of 4.5, 3.7, 1.5 and 4.5."""
_BOND = 0.2
"""A channel that goes with none of its neighbours, where it used to."""
_BRIEF = 0.1
"""Of a window: a jump that stays longer at the converter's end is a saturation."""
_SWAP = 0.05
"""Gain of agreement for each channel; without a swap it is below 0.03 on all recordings that were looked at."""
_SWAP_WINDOWS = 4
"""Newest good windows whose mean correlations are compared."""


@dataclass(frozen=True, slots=True)
class FaultChange:
    """A fault that has begun (`active`) or has passed."""

    kind: FaultKind
    active: bool
    window: int
    channels: tuple[str, ...]
    detail: str = ""


class SignalQuality:
    """A window with any flagged channel is faulty and kept out of drift and training.

    A fault is reported when a channel has been flagged in `persistence` windows in a row, and again when it has been
    clean in as many: one touch of the converter's end is worth leaving a window out, not worth waking anybody. A pop
    is over within a window, and is reported at once.
    """

    def __init__(self, channels: Sequence[str], persistence: int = 3) -> None:
        if persistence < 1:
            raise ValueError(f"persistence is {persistence}, expected 1 or more")
        self._channels, self._persistence = tuple(channels), persistence
        self._bad: dict[FaultKind, list[int]] = {kind: [0] * len(self._channels) for kind in _KINDS}
        self._clean: dict[FaultKind, list[int]] = {kind: [0] * len(self._channels) for kind in _KINDS}
        self._active: dict[FaultKind, set[int]] = {kind: set() for kind in _KINDS}
        self._reference = Reference(len(self._channels))
        self._together: deque[np.ndarray[Any, np.dtype[np.float64]]] = deque(maxlen=_SWAP_WINDOWS)
        self._clock = ClockWatch()
        self._clock_fault = False
        self.flagged: tuple[tuple[str, FaultKind], ...] = ()
        """What the newest window shows: channel and fault, reported yet or not."""

    def learn(self, window: Window) -> None:
        """A window of a time that is trusted: calibration, with somebody looking."""
        seen = figures(window.counts, window.scale, window.sampling_rate_hz)
        together = correlation_of_changes(window.counts)
        self._reference.learn(seen, together, signed=bool((window.counts < 0).any()))

    @property
    def suspect(self) -> bool:
        """A channel is faulty, was a moment ago, or may be about to be reported: no time to learn from."""
        return any(self._active.values()) or any(any(counts) for counts in self._bad.values())

    def check(self, report: WindowReport, window: Window | None = None) -> tuple[bool, list[FaultChange]]:
        """Is the window faulty, and which faults have begun or passed with it.

        Without the window's samples (a wearable that records by itself) only the wearable's own flags count.
        """
        flags = dict.fromkeys(_KINDS, 0)
        flags[FaultKind.FLAT_LINE] = report.flat_channels
        flags[FaultKind.SATURATION] = report.saturated_channels
        changes: list[FaultChange] = []
        if window is not None:
            self._look(window, flags)
            changes += self._watch_clock(window)
        self.flagged = tuple(
            (name, kind) for kind in _KINDS for channel, name in enumerate(self._channels) if flags[kind] >> channel & 1
        )
        changes += [change for kind in _KINDS for change in self._follow(kind, flags[kind], report.window_id)]
        # A window that looks good in the midst of a fault is not one to learn from; between two pops it is.
        lasting = any(self._active[kind] for kind in _KINDS if kind is not FaultKind.ELECTRODE_POP)
        faulty = lasting or any(flags.values())
        if window is not None and not faulty and self._reference.windows < _LEARN:
            self.learn(window)
        return faulty, changes

    def _look(self, window: Window, flags: dict[FaultKind, int]) -> None:
        seen = figures(window.counts, window.scale, window.sampling_rate_hz)
        stuck = _mask((seen.railed > 0) & (seen.flat >= _FLAT))
        flags[FaultKind.FLAT_LINE] = (flags[FaultKind.FLAT_LINE] | _mask(seen.flat >= _FLAT)) & ~stuck
        known = self._reference
        if known.windows < _FEWEST:
            return
        larger = seen.jump > known.high["jump"] + _JUMP
        pops = _mask((seen.step > known.usual_step + _STEP) & larger & (seen.railed < _BRIEF))
        flags[FaultKind.SATURATION] &= ~pops  # a jump that touches the converter's end is a jump
        dead = flags[FaultKind.FLAT_LINE] | flags[FaultKind.SATURATION]
        flags[FaultKind.SATURATION] |= _mask(seen.clipped > np.maximum(2 * known.high["clipped"], _CLIPPED)) & ~dead
        flags[FaultKind.MAINS_HUM] = _mask(seen.mains > np.maximum(known.high["mains"], 1.0) + _MAINS) & ~dead
        taken = dead | flags[FaultKind.SATURATION] | flags[FaultKind.MAINS_HUM]
        flags[FaultKind.ELECTRODE_POP] = pops & ~taken
        taken |= pops
        flags[FaultKind.DISCONNECTED] = self._disconnected(seen) & ~taken
        if not taken | flags[FaultKind.DISCONNECTED]:
            flags[FaultKind.SWAPPED_ELECTRODES] = self._swapped(window)

    def _disconnected(self, seen: Figures) -> int:
        known = self._reference
        loud = seen.level > known.high["level"] + _LEVEL
        alone = (seen.bond < _BOND) & (seen.bond < known.low["bond"] - 0.1)
        return _mask(loud | alone)

    def _swapped(self, window: Window) -> int:
        self._together.append(correlation_of_changes(window.counts))
        if len(self._together) < _SWAP_WINDOWS or len(self._channels) < 3 or not self._reference.signed:
            return 0
        gain, (a, b) = best_swap(self._reference.together, np.mean(self._together, axis=0))
        return 1 << a | 1 << b if gain > _SWAP else 0

    def _watch_clock(self, window: Window) -> list[FaultChange]:
        wrong = self._clock.check(window.time_s)
        if bool(wrong) == self._clock_fault:
            return []
        self._clock_fault = bool(wrong)
        return [FaultChange(FaultKind.CLOCK_GAP, self._clock_fault, window.id, (), wrong)]

    def _follow(self, kind: FaultKind, mask: int, window: int) -> list[FaultChange]:
        begun, passed = [], []
        wanted = 1 if kind is FaultKind.ELECTRODE_POP else self._persistence
        for channel, name in enumerate(self._channels):
            flagged = bool(mask >> channel & 1)
            self._bad[kind][channel] = self._bad[kind][channel] + 1 if flagged else 0
            self._clean[kind][channel] = 0 if flagged else self._clean[kind][channel] + 1
            if self._bad[kind][channel] == wanted and channel not in self._active[kind]:
                self._active[kind].add(channel)
                begun.append(name)
            elif self._clean[kind][channel] == self._persistence and channel in self._active[kind]:
                self._active[kind].discard(channel)
                passed.append(name)
        return [
            FaultChange(kind, active, window, tuple(names))
            for active, names in ((True, begun), (False, passed))
            if names
        ]

    def snapshot(self) -> dict[str, Any]:
        """The reference has to survive a restart; what is going on is seen anew."""
        return self._reference.snapshot()

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Does nothing with the reference of other channels."""
        if len(snapshot["together"]) == len(self._channels):
            self._reference = Reference.restore(snapshot)


def _mask(flagged: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    return sum(1 << int(channel) for channel in np.flatnonzero(flagged))


_KINDS = (
    FaultKind.FLAT_LINE,
    FaultKind.SATURATION,
    FaultKind.MAINS_HUM,
    FaultKind.DISCONNECTED,
    FaultKind.ELECTRODE_POP,
    FaultKind.SWAPPED_ELECTRODES,
)
