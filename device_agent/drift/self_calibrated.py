"""Page-Hinkley for values whose usual mean, deviation and noise are learned first: entropy, margin, confidence.

>>> detector = SelfCalibrated("up", learn=40)
>>> for value in [0.2, 0.4, 0.3, 0.5, 0.1] * 8 + [1.5] * 10:
...     detector.update(value)
>>> detector.drift_detected, detector.change_point
(True, 40)
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from device_agent.drift.page_hinkley import PageHinkley
from device_agent.drift.thresholds import EVERY, value_threshold

_TOLERANCE = 0.5
"""Standard deviations of single values: a shift of the mean below this is not looked for."""
_FAR = 3.0
"""Deviations at which a single value is cut: one strange window is no lasting change."""


class SelfCalibrated:
    """The first `learn` values are the reference; then deviations from it in the direction that matters."""

    def __init__(self, mode: Literal["up", "down"], *, learn: int = 60, every: float = EVERY) -> None:
        self._sign = 1.0 if mode == "up" else -1.0
        self._learn, self._every = learn, every
        self.reset()

    @property
    def name(self) -> str:
        return "self-calibrated"

    def reset(self) -> None:
        self._reference: list[float] = []
        self._detector: PageHinkley | None = None
        self._mean = self._deviation = 0.0

    def update(self, x: float) -> None:
        if not math.isfinite(x):
            raise ValueError(f"a detector was fed {x}")
        if self._detector is not None:
            self._detector.update(self._standard(x))
            return
        self._reference.append(x)
        if len(self._reference) == self._learn:
            values = np.asarray(self._reference)
            self._mean, self._deviation = float(values.mean()), float(values.std()) + 1e-6
            standard = np.array([self._standard(value) for value in self._reference])
            threshold = value_threshold(standard, _TOLERANCE, self._every)
            self._detector = PageHinkley(reference=0.0, delta=_TOLERANCE, threshold=threshold, alpha=1.0, mode="up")

    def _standard(self, x: float) -> float:
        return self._sign * min(max((x - self._mean) / self._deviation, -_FAR), _FAR)

    @property
    def drift_detected(self) -> bool:
        return self._detector is not None and self._detector.drift_detected

    @property
    def statistic(self) -> tuple[float, float]:
        return (0.0, 1.0) if self._detector is None else self._detector.statistic

    @property
    def change_point(self) -> int:
        return 0 if self._detector is None else self._learn + self._detector.change_point
