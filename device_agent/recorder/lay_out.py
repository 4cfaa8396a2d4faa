"""Windows on one line of time: where each begins, what is written beside it, and what no window covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from device_agent.recorder.edf import Annotation
from device_agent.recorder.spool import Kept, KeptLabel, KeptNote, KeptWindow, StreamFacts


@dataclass
class Layout:
    """Of a whole spool, without its samples."""

    began_s: float = 0.0
    """First sample, seconds since the epoch."""
    samples: int = 0
    starts: dict[int, int] = field(default_factory=dict)
    """Window -> index of its first sample."""
    annotations: list[Annotation] = field(default_factory=list)
    peak: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """[channels]: the largest absolute value."""
    scale: npt.NDArray[np.float32] | None = None
    """[channels], where all windows have the same."""


def lay_out(facts: StreamFacts, kept: Iterable[Kept]) -> Layout:
    """Annotations are: each window's label (with the window's length), `prediction CLASS p VERSION` at its end,
    `faulty` windows as `BAD_sensor`, notes at the end of their window, and `BAD_gap` where no window has samples.
    """
    out = Layout(peak=np.zeros(len(facts.channels)))
    labels: dict[int, int] = {}
    notes: list[KeptNote] = []
    told: list[KeptWindow] = []
    place = _Places(facts)
    version: int | None = None
    for one in kept:
        if isinstance(one, KeptLabel):
            labels[one.window] = one.label
        elif isinstance(one, KeptNote):
            notes.append(one)
        else:
            if not out.starts:
                out.began_s = one.ended_s - facts.samples / facts.sampling_rate_hz
                out.scale = one.scale
            elif out.scale is not None and not np.array_equal(out.scale, one.scale):
                out.scale = None
            out.starts[one.id] = place.of(one)
            out.peak = np.maximum(out.peak, np.abs(one.counts.astype(np.float64)).max(axis=1) * one.scale)
            if one.label is not None:
                labels[one.id] = one.label
            if version not in (None, one.weights_version):
                notes.append(KeptNote(one.id, f"weights {one.weights_version} serve"))
            version = one.weights_version
            told.append(_without_samples(one))
    out.samples = max(out.starts.values(), default=0) + (facts.samples if out.starts else 0)
    out.annotations = sorted(_annotations(facts, out, labels, notes, told), key=lambda note: note.onset_s)
    return out


class _Places:
    """Counted samples where the source counts them; else the windows' clock, which only runs forward."""

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._zero_s: float | None = None
        self._zero_sample: int | None = None
        self._base = 0
        self._end = 0

    def of(self, window: KeptWindow) -> int:
        rate = self._facts.sampling_rate_hz
        if self._zero_s is None:
            self._zero_s, self._zero_sample = window.ended_s, window.sample
        start = round((window.ended_s - self._zero_s) * self._facts.speed * rate)
        if window.sample is not None and self._zero_sample is not None:
            counted = window.sample - self._zero_sample + self._base
            if counted < 0 or counted < self._end - 2 * self._facts.samples:
                # the stream began anew: from here on its count starts where the clock says that it is
                self._zero_sample, self._base = window.sample, max(start, self._end)
                counted = self._base
            start = counted
        self._end = max(self._end, start + self._facts.samples)
        return max(start, 0)


def _without_samples(window: KeptWindow) -> KeptWindow:
    empty = np.zeros((0, 0), np.int16)
    return KeptWindow(
        window.id, window.ended_s, window.label, window.predicted, window.confidence, window.weights_version,
        window.faulty, window.sample, window.scale, empty,
    )  # fmt: skip


def _annotations(
    facts: StreamFacts, out: Layout, labels: dict[int, int], notes: list[KeptNote], told: list[KeptWindow]
) -> Iterator[Annotation]:
    rate, length_s = facts.sampling_rate_hz, facts.samples / facts.sampling_rate_hz
    for window in told:
        start_s = out.starts[window.id] / rate
        if window.id in labels:
            yield Annotation(start_s, length_s, facts.classes[labels[window.id]])
        if window.faulty:
            yield Annotation(start_s, length_s, "BAD_sensor")
        words = f"prediction {facts.classes[window.predicted]} {window.confidence:.2f} v{window.weights_version}"
        yield Annotation(_at_end(start_s + length_s, rate), 0.0, words)
    for note in notes:
        if note.window in out.starts:
            yield Annotation(_at_end(out.starts[note.window] / rate + length_s, rate), 0.0, note.text)
    for first, last in _gaps(facts, out):
        yield Annotation(first / rate, (last - first) / rate, "BAD_gap")


def _at_end(end_s: float, rate: float) -> float:
    """A window's last sample: what lies behind the last sample of a file is no part of it."""
    return end_s - 1 / rate


def _gaps(facts: StreamFacts, out: Layout) -> Iterator[tuple[int, int]]:
    known = 0
    for start in sorted(out.starts.values()):
        if start > known:
            yield known, start
        known = max(known, start + facts.samples)
