"""Counts and means over the windows of one period. No sample gets in here, so none can get out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from device_agent.wearable.api import WindowReport

_MAX_LATENCIES = 4096


class Period(BaseModel):
    """The period that is being counted; part of the agent's kept state, so that a crash does not lose its windows."""

    windows: int = 0
    dropped: int = 0
    faulty: int = 0
    labelled: int = 0
    correct: int = 0
    frozen_labelled: int = 0
    frozen_correct: int = 0
    first_window: int | None = None
    last_window: int | None = None
    confidence_sum: float = 0.0
    entropy_sum: float = 0.0
    predicted: dict[str, int] = Field(default_factory=dict)
    channel_faults: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Windows, by channel and fault."""
    latencies_ms: list[float] = Field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not self.windows and not self.dropped and not self.labelled

    def add(
        self,
        report: WindowReport,
        *,
        classes: Sequence[str],
        correct: bool | None,
        frozen_correct: bool | None,
        faulty: bool,
        latency_s: float,
        flagged: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.windows += 1
        self.faulty += faulty
        self.first_window = report.window_id if self.first_window is None else self.first_window
        self.last_window = report.window_id
        if correct is not None:
            self.add_label(correct, frozen_correct)
        self.confidence_sum += max(report.probabilities)
        self.entropy_sum += report.entropy
        name = classes[report.predicted]
        self.predicted[name] = self.predicted.get(name, 0) + 1
        for channel, fault in flagged:
            of = self.channel_faults.setdefault(channel, {})
            of[fault] = of.get(fault, 0) + 1
        if len(self.latencies_ms) < _MAX_LATENCIES:
            self.latencies_ms.append(round(max(latency_s, 0.0) * 1000, 3))

    def add_label(self, correct: bool, frozen_correct: bool | None) -> None:
        """With its window, or when it comes: it counts in the period in which it becomes known."""
        self.labelled += 1
        self.correct += correct
        if frozen_correct is not None:
            self.frozen_labelled += 1
            self.frozen_correct += frozen_correct

    def fields(self, *, period_s: float, last_window: int, frozen: bool) -> dict[str, Any]:
        """The fields of a Telemetry message that come from here."""
        first = last_window if self.first_window is None else self.first_window
        return {
            "period_s": max(period_s, 1e-3),
            "first_window": first,
            "last_window": first if self.last_window is None else self.last_window,
            "windows": self.windows,
            "windows_dropped": self.dropped,
            "windows_faulty": self.faulty,
            "channel_faults": {channel: dict(faults) for channel, faults in self.channel_faults.items()},
            "labelled": self.labelled,
            "correct": self.correct,
            # Only when the frozen copy saw every labelled window: two counts that cannot be compared help nobody.
            "frozen_correct": self.frozen_correct if frozen and self.frozen_labelled == self.labelled else None,
            "confidence_mean": min(self.confidence_sum / self.windows, 1.0) if self.windows else None,
            "entropy_mean": max(self.entropy_sum / self.windows, 0.0) if self.windows else None,
            "latency": self._latency(),
            "predicted_classes": dict(self.predicted),
        }

    def _latency(self) -> dict[str, float] | None:
        if not self.latencies_ms:
            return None
        ordered = sorted(self.latencies_ms)

        def percentile(share: float) -> float:
            return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

        return {"p50_ms": percentile(0.50), "p99_ms": percentile(0.99), "max_ms": ordered[-1]}
