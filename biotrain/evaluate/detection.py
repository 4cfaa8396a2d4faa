"""How soon, how surely and how falsely detectors claim a change of day: river's measures, on traces of real people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from biotrain.evaluate.traces import Said, Trace

WITHIN = 60
"""Labelled windows within which a change must be claimed."""


class Watcher(Protocol):
    """Anything that is fed windows one by one and claims a change: a detector behind its input, or the monitor."""

    def feed(self, said: Said, i: int) -> bool:
        """Take in window `i`; True when a change is claimed now."""

    def reset(self) -> None: ...


Make = Callable[[Trace], Watcher]
"""A watcher that has been calibrated with a trace's reference."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Of changes that cost at least so much."""

    cost: float
    changes: int
    found: int
    """Within `WITHIN` windows."""
    median_delay: float | None
    """Windows, of those found."""

    @property
    def recall(self) -> float | None:
        return self.found / self.changes if self.changes else None


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """On windows without a change; a watcher is reset after each."""

    windows: int
    alarms: int

    @property
    def between(self) -> float | None:
        """Mean windows between two false alarms."""
        return self.windows / self.alarms if self.alarms else None


def delay_of(watcher: Watcher, trace: Trace) -> int | None:
    """Windows of the next day until the change is claimed, counted from 1; claims before it are set aside."""
    assert trace.next_day is not None
    for i in range(len(trace.same_day)):
        if watcher.feed(trace.same_day, i):
            watcher.reset()
    for i in range(len(trace.next_day)):
        if watcher.feed(trace.next_day, i):
            return i + 1
    return None


def delays(make: Make, traces: Sequence[Trace], costs: Sequence[float] = (0.1, 0.2)) -> list[Delays]:
    """For each cost (a fall of accuracy, 0 to 1): changes of day that cost so much, those found within `WITHIN`
    labelled windows, and their median delay in windows.
    """
    changes = [(trace.cost, delay_of(make(trace), trace)) for trace in traces if trace.next_day is not None]
    out = []
    for cost in costs:
        counted = [delay for found_cost, delay in changes if found_cost >= cost]
        found = [delay for delay in counted if delay is not None and delay <= WITHIN]
        out.append(Delays(cost, len(counted), len(found), float(np.median(found)) if found else None))
    return out


def false_alarms_shuffled(make: Make, traces: Sequence[Trace], windows_each: int = 2000, seed: int = 0) -> FalseAlarms:
    """Windows of one session that the model has not seen, shuffled again and again."""
    windows = alarms = 0
    for number, trace in enumerate(traces):
        random = np.random.default_rng([seed, number])
        said, watcher = trace.reference.then(trace.same_day), make(trace)
        while windows < (number + 1) * windows_each:
            for i in random.permutation(len(said)):
                windows += 1
                if watcher.feed(said, int(i)):
                    alarms += 1
                    watcher.reset()
    return FalseAlarms(windows, alarms)


def false_alarms_in_posture(make: Make, traces: Sequence[Trace]) -> FalseAlarms:
    """Windows of one posture in recorded order, where repetitions of one gesture follow each other."""
    windows = alarms = 0
    for trace in traces:
        for posture in np.unique(trace.posture):
            said, watcher = trace.same_day.chosen(trace.posture == posture), make(trace)
            for i in range(len(said)):
                windows += 1
                if watcher.feed(said, i):
                    alarms += 1
                    watcher.reset()
    return FalseAlarms(windows, alarms)
