"""Page-Hinkley: has the mean of a stream moved away from what it was?

E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954). Deviations from the mean so far, less a tolerance
`delta`, are summed; drift is detected when the sum has climbed more than `threshold` above its lowest point. That
lowest point is where the change is thought to have begun. With `reference` the deviations are taken from that known
mean instead (the error rate of the model when it was calibrated): a change that was there from the first window on
is then seen too, where a running mean would have learned it as normal.

>>> detector = PageHinkley(reference=0.1, delta=0.1, threshold=3.0)
>>> for error in [0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]:
...     detector.update(error)
...     if detector.drift_detected:
...         break
>>> detector.drift_detected, detector.change_point
(True, 8)
"""

from __future__ import annotations

import math
from typing import Literal

Mode = Literal["up", "down", "both"]


class PageHinkley:
    """The indices at which it detects are river's `PageHinkley`'s, when it is reset at each detection."""

    def __init__(
        self,
        *,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 1 - 0.0001,
        mode: Mode = "both",
        reference: float | None = None,
    ) -> None:
        if mode not in ("up", "down", "both"):
            raise ValueError(f"mode is {mode!r}, expected up, down or both")
        if threshold <= 0 or not 0 < alpha <= 1 or min_instances < 1:
            raise ValueError("expected threshold above 0, alpha in (0, 1], min_instances 1 or more")
        self._min_instances = 1 if reference is not None else min_instances
        self._delta, self._threshold, self._alpha = delta, threshold, alpha
        self._mode: Mode = mode
        self._reference = reference
        self.reset()

    @property
    def name(self) -> str:
        return "page-hinkley"

    def reset(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._rise = self._fall = 0.0
        # With a reference nothing has to be learned first: the sums count from where they start.
        known = self._reference is not None
        self._lowest = 0.0 if known else math.inf
        self._highest = 0.0 if known else -1.0
        self._lowest_at = self._highest_at = -1
        self._detected = False

    def update(self, x: float) -> None:
        if not math.isfinite(x):
            raise ValueError(f"a detector was fed {x}")
        self._count += 1
        self._mean += (x - self._mean) / self._count
        deviation = x - (self._mean if self._reference is None else self._reference)
        self._rise = self._alpha * self._rise + deviation - self._delta
        self._fall = self._alpha * self._fall + deviation + self._delta
        if self._rise < self._lowest:
            self._lowest, self._lowest_at = self._rise, self._count - 1
        if self._fall > self._highest:
            self._highest, self._highest_at = self._fall, self._count - 1
        if self._count >= self._min_instances and self.statistic[0] > self._threshold:
            self._detected = True

    @property
    def drift_detected(self) -> bool:
        return self._detected

    @property
    def statistic(self) -> tuple[float, float]:
        if not self._count:
            return 0.0, self._threshold
        up, down = self._rise - self._lowest, self._highest - self._fall
        return {"up": up, "down": down, "both": max(up, down)}[self._mode], self._threshold

    @property
    def change_point(self) -> int:
        up, down = self._rise - self._lowest, self._highest - self._fall
        rising = self._mode == "up" or (self._mode == "both" and up >= down)
        return min((self._lowest_at if rising else self._highest_at) + 1, max(self._count - 1, 0))
