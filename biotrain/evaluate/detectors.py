"""Every detector, and the monitor, as watchers of traces; and the table of what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from biotrain.evaluate.detection import Delays, Make, delays, false_alarms_in_posture, false_alarms_shuffled
from biotrain.evaluate.summary import binomial_interval
from biotrain.evaluate.traces import Said, Trace
from device_agent.drift.combine import Rule
from device_agent.drift.feature_distance import FeatureDetector
from device_agent.drift.monitor import DriftMonitor
from device_agent.drift.registry import ERROR_DETECTORS, error_detector
from device_agent.drift.self_calibrated import SelfCalibrated
from device_agent.wearable.api import WindowReport

Calibrated = Callable[[Trace], tuple[Any, Callable[[Said, int], None]]]
"""For a trace: a detector, and how it is fed a window."""


def reference_error(trace: Trace) -> float:
    """As the agent takes it from calibration: one error more than was seen."""
    return float((trace.reference.error.sum() + 1) / (len(trace.reference) + 2))


class _Fed:
    """A detector that begins, and begins again, with the reference windows where it learns from them."""

    def __init__(self, trace: Trace, make: Calibrated, *, learns: bool) -> None:
        self._trace, self._make, self._learns = trace, make, learns
        self.reset()

    def reset(self) -> None:
        self._detector, self._feed = self._make(self._trace)
        if self._learns:
            for i in range(len(self._trace.reference)):
                self._feed(self._trace.reference, i)

    def feed(self, said: Said, i: int) -> bool:
        self._feed(said, i)
        return bool(self._detector.drift_detected)


class _Monitored:
    """The agent's monitor, with or without labels."""

    def __init__(self, trace: Trace, rule: Rule, *, labels: bool) -> None:
        self._trace, self._rule, self._labels = trace, rule, labels
        self.reset()

    def reset(self) -> None:
        reference = reference_error(self._trace)
        self._monitor = DriftMonitor(lambda r: error_detector("page-hinkley", r), reference, rule=self._rule)
        self._window = 0
        # two rounds: places of features, then usual distances
        for i in range(2 * len(self._trace.reference)):
            self.feed(self._trace.reference, i % len(self._trace.reference), learning=True)
        self._monitor.active = False
        if self._labels:
            self._monitor.forget_labels()  # that learning had none is no sign that labels are rare

    def feed(self, said: Said, i: int, *, learning: bool = False) -> bool:
        self._window += 1
        error = bool(said.error[i]) if self._labels and not learning else None
        probabilities = (float(said.confidence[i]),)
        report = WindowReport(
            self._window, 0, int(said.predicted[i]), probabilities, float(said.margin[i]), float(said.entropy[i]), 1,
            features=tuple(map(float, said.features[i])),
        )  # fmt: skip
        return self._monitor.observe(self._window, error, report.entropy, report) is not None


def _errors(name: str) -> Make:
    def make(trace: Trace) -> tuple[Any, Callable[[Said, int], None]]:
        detector = error_detector(name, reference_error(trace))
        return detector, lambda said, i: detector.update(float(said.error[i]))

    # river's learn the usual rate from what they are fed: they see the reference windows first
    return lambda trace: _Fed(trace, make, learns=name != "page-hinkley")


def _values(name: str, mode: Any) -> Make:
    def make(trace: Trace) -> tuple[Any, Callable[[Said, int], None]]:
        detector = SelfCalibrated(mode, learn=len(trace.reference))
        return detector, lambda said, i: detector.update(float(getattr(said, name)[i]))

    return lambda trace: _Fed(trace, make, learns=True)


def _features(trace: Trace) -> _Fed:
    def make(trace: Trace) -> tuple[Any, Callable[[Said, int], None]]:
        detector = FeatureDetector(learn=len(trace.reference) // 2)
        return detector, lambda said, i: detector.update([float(f) for f in said.features[i]], int(said.predicted[i]))

    return _Fed(trace, make, learns=True)


def watchers() -> dict[str, Make]:
    """Name -> maker, in the order of the table."""
    found: dict[str, Make] = {f"{name} on errors": _errors(name) for name in ERROR_DETECTORS}
    found |= {
        "entropy": _values("entropy", "up"),
        "margin": _values("margin", "down"),
        "confidence": _values("confidence", "down"),
        "features": _features,
        "monitor, weighted (default)": lambda trace: _Monitored(trace, Rule.WEIGHTED, labels=True),
        "monitor, any": lambda trace: _Monitored(trace, Rule.ANY, labels=True),
        "monitor, majority": lambda trace: _Monitored(trace, Rule.MAJORITY, labels=True),
        "monitor, weighted, no labels": lambda trace: _Monitored(trace, Rule.WEIGHTED, labels=False),
    }
    return found


def _found(delays: Delays) -> dict[str, Any]:
    low, high = binomial_interval(delays.found, delays.changes)
    return {
        "changes": delays.changes,
        "recall": delays.recall,
        "low": low,
        "high": high,
        "median_delay": delays.median_delay,
    }


def measure(name: str, make: Make, traces: Sequence[Trace]) -> dict[str, Any]:
    """River's measures of one watcher. Slow ones are shuffled for fewer windows."""
    windows_each = 200 if "kswin" in name or "monitor" in name else 2000
    small, large = delays(make, traces)
    shuffled = false_alarms_shuffled(make, traces, windows_each)
    posture = false_alarms_in_posture(make, traces)
    return {
        "name": name,
        "cost_10": _found(small),
        "cost_20": _found(large),
        "shuffled": {"windows": shuffled.windows, "alarms": shuffled.alarms, "between": shuffled.between},
        "posture": {"windows": posture.windows, "alarms": posture.alarms, "between": posture.between},
    }


def detection_table(rows: Sequence[dict[str, Any]]) -> str:
    """Recall within 60 windows with a binomial interval, and median delay; then windows between false alarms."""
    lines = [
        "| detector | ≥ 10 points: found [95 %], median delay | ≥ 20 points: found [95 %], median delay "
        "| false alarms, shuffled | false alarms, one posture in order |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["name"]]
        for which in ("cost_10", "cost_20"):
            found = row[which]
            limits = f"[{100 * found['low']:.0f}, {100 * found['high']:.0f}]"
            delay = "–" if found["median_delay"] is None else f"{found['median_delay']:g}"
            cells.append("–" if found["recall"] is None else f"{100 * found['recall']:.0f} % {limits}, {delay}")
        for which in ("shuffled", "posture"):
            found = row[which]
            between = "none" if found["between"] is None else f"1 in {found['between']:,.0f}"
            cells.append(f"{between} ({found['alarms']} in {found['windows']:,})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def changes_counted(traces: Sequence[Trace]) -> tuple[int, int]:
    """Changes of day that cost at least 10 and at least 20 points."""
    costs = np.array([trace.cost for trace in traces if trace.next_day is not None])
    return int((costs >= 0.1).sum()), int((costs >= 0.2).sum())
