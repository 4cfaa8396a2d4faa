"""Sensor faults: an electrode off or an amplifier at its end is no drift, and must never start an adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_agent.wearable.api import WindowReport
from schemas.fault import FaultKind


@dataclass(frozen=True, slots=True)
class FaultChange:
    """A fault that has begun (`active`) or has passed."""

    kind: FaultKind
    active: bool
    window: int
    channels: tuple[str, ...]


class SignalQuality:
    """A window with any flagged channel is faulty and kept out of drift and training.

    A fault is reported when a channel has been flagged in `persistence` windows in a row, and again when it has been
    clean in as many: one touch of the converter's end is worth leaving a window out, not worth waking anybody.
    """

    def __init__(self, channels: Sequence[str], persistence: int = 3) -> None:
        if persistence < 1:
            raise ValueError(f"persistence is {persistence}, expected 1 or more")
        self._channels, self._persistence = tuple(channels), persistence
        self._bad: dict[FaultKind, list[int]] = {kind: [0] * len(self._channels) for kind in _KINDS}
        self._clean: dict[FaultKind, list[int]] = {kind: [0] * len(self._channels) for kind in _KINDS}
        self._active: dict[FaultKind, set[int]] = {kind: set() for kind in _KINDS}

    def check(self, report: WindowReport) -> tuple[bool, list[FaultChange]]:
        """Is the window faulty, and which faults have begun or passed with it."""
        flags = {FaultKind.FLAT_LINE: report.flat_channels, FaultKind.SATURATION: report.saturated_channels}
        changes = [change for kind in _KINDS for change in self._follow(kind, flags[kind], report.window_id)]
        return any(flags.values()), changes

    def _follow(self, kind: FaultKind, mask: int, window: int) -> list[FaultChange]:
        begun, passed = [], []
        for channel, name in enumerate(self._channels):
            flagged = bool(mask >> channel & 1)
            self._bad[kind][channel] = self._bad[kind][channel] + 1 if flagged else 0
            self._clean[kind][channel] = 0 if flagged else self._clean[kind][channel] + 1
            if self._bad[kind][channel] == self._persistence and channel not in self._active[kind]:
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


_KINDS = (FaultKind.FLAT_LINE, FaultKind.SATURATION)
