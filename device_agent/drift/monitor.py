"""Combines the detectors: is there drift, on what evidence, since when, and how sure is that?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device_agent.drift.combine import Rule, claims, sureness
from device_agent.drift.detector import Detector
from device_agent.drift.unlabelled import UNLABELLED
from device_agent.wearable.api import WindowReport
from schemas.drift import Evidence

_SMOOTHING = 0.06
"""Weight of the newest window in the smoothed error: a memory of about 16 windows."""
_RARE = 0.25
"""Where fewer windows than this share have labels, entropy may raise the alert alone."""
_RECENT = 60
"""Windows over which that share is taken."""
_KEPT = 4096
"""Window numbers that are kept to date a change: it is noticed long before so many windows have passed."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What the monitor claims, once, at the window where its rule is met."""

    window: int
    since_window: int
    evidence: tuple[Evidence, ...]
    sureness: float | None
    """Chance that so many errors do not come by the reference rate alone; None without labels. Where to look was
    chosen by the data, so it flatters a little."""
    accuracy_reference: float | None
    accuracy_recent: float | None


class DriftMonitor:
    """Labelled errors decide; what needs no label decides where labels are rare, and is shown anyway (rule weighted).

    After a claim it stays quiet (`active`) until `reset`: after a commit, or by itself when the error has come back
    to its reference.
    """

    def __init__(
        self,
        make_error_detector: Callable[[float | None], Detector],
        reference_error: float | None = None,
        rule: Rule = Rule.WEIGHTED,
    ) -> None:
        self._make, self._rule = make_error_detector, rule
        self._windows = _Numbers()
        self._errors: deque[tuple[int, bool]] = deque(maxlen=2000)
        self.smoothed_error: float | None = None
        self.reference_error: float | None = None
        self.reset(reference_error)

    def reset(self, reference_error: float | None = None) -> None:
        """Begin anew, with the error rate that is now normal; None keeps the one there was."""
        if reference_error is not None:
            self.reference_error = reference_error
        self._error = self._make(self.reference_error)
        self._windows = _Numbers()
        self._others = [(make(), _Numbers()) for make in UNLABELLED]
        self._recent: dict[int, bool] = {}
        self.active = False
        self.since_window: int | None = None
        self._calm = 0

    def observe(
        self, window: int, error: bool | None, entropy: float, report: WindowReport | None = None
    ) -> Drift | None:
        """Take in one good window; `error` is None without a label. Returns a claim when the rule is first met.

        `report` is what the wearable said of the window; without it only entropy is watched beside the errors.
        """
        self._recent[window] = error is not None
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        for watch, windows in self._others:
            if watch.feed(entropy, report):
                windows.append(window)
        if error is not None:
            self._take_error(window, error)
        if self.active:
            self._watch_recovery()
            return None
        return self._claim(window)

    def label(self, window: int, error: bool) -> Drift | None:
        """A label came after its window had been observed without one. Returns a claim as `observe` does."""
        if window in self._recent:
            self._recent[window] = True
        self._take_error(window, error)
        return None if self.active else self._claim(window)

    def forget_labels(self) -> None:
        """How many of the last windows had labels is counted anew."""
        self._recent.clear()

    def _take_error(self, window: int, error: bool) -> None:
        self._error.update(float(error))
        self._windows.append(window)
        self._errors.append((window, error))
        self._smooth(float(error))

    def _claim(self, window: int) -> Drift | None:
        rare = len(self._recent) == _RECENT and sum(self._recent.values()) < _RARE * _RECENT
        evidence = self.evidence()
        if not claims(self._rule, evidence, labels_rare=rare):
            return None
        self.active = True
        self.since_window = self._since(evidence)
        since = [error for at, error in self._errors if at >= self.since_window]
        return Drift(
            window,
            self.since_window,
            evidence,
            sureness(sum(since), len(since), self.reference_error),
            None if self.reference_error is None else 1.0 - self.reference_error,
            self.accuracy_since(self.since_window),
        )

    def evidence(self) -> tuple[Evidence, ...]:
        """What each detector says now, errors first."""
        error = Evidence(
            detector=self._error.name,
            watches="error",
            statistic=self._error.statistic[0],
            threshold=self._error.statistic[1],
            fired=self._error.drift_detected,
            since_window=self._windows[self._error.change_point] if self._error.drift_detected else None,
        )
        return error, *(watch.evidence(windows.__getitem__) for watch, windows in self._others)

    def _since(self, evidence: tuple[Evidence, ...]) -> int:
        """Of the errors where they have fired; otherwise the latest: each of the others began no later."""
        fired = [e.since_window for e in evidence if e.fired and e.since_window is not None]
        return fired[0] if evidence[0].fired else max(fired)

    def accuracy_since(self, window: int) -> float | None:
        errors = [error for at, error in self._errors if at >= window]
        return 1.0 - sum(errors) / len(errors) if errors else None

    def _smooth(self, error: float) -> None:
        if self.smoothed_error is None:
            self.smoothed_error = error if self.reference_error is None else self.reference_error
        self.smoothed_error += _SMOOTHING * (error - self.smoothed_error)

    def _watch_recovery(self) -> None:
        """Back on the reference for as long as the smoothing remembers, three times over: the drift has passed."""
        if self.smoothed_error is None or self.reference_error is None:
            return
        recovered = self.smoothed_error <= self.reference_error + _SMOOTHING
        self._calm = self._calm + 1 if recovered else 0
        if self._calm >= 3 / _SMOOTHING:
            self.reset()

    def snapshot(self) -> dict[str, Any]:
        """What has to survive a restart; detectors begin anew."""
        return {
            "reference_error": self.reference_error,
            "active": self.active,
            "since_window": self.since_window,
            "smoothed_error": self.smoothed_error,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.reset(snapshot["reference_error"])
        self.active, self.since_window = snapshot["active"], snapshot["since_window"]
        self.smoothed_error = snapshot["smoothed_error"]


class _Numbers:
    """Which window a detector's n-th value was of. Only the newest are kept: no stream is too long for it."""

    def __init__(self, most: int = _KEPT) -> None:
        self._kept: deque[int] = deque(maxlen=most)
        self._count = 0

    def append(self, window: int) -> None:
        self._kept.append(window)
        self._count += 1

    def __getitem__(self, index: int) -> int:
        """A change that began before all that is kept is dated to the oldest kept window."""
        return self._kept[max(index - (self._count - len(self._kept)), 0)]
