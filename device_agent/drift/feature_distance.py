"""How far a window's features lie from where windows of its class used to lie.

The class-conditional Mahalanobis distance (K. Lee et al., "A simple unified framework for detecting out-of-distribution
samples", NeurIPS 2018), with the *predicted* class: it needs no label, and blocks of one gesture do not look like a
change. The covariance is pooled over classes and shrunk towards its diagonal (O. Ledoit and M. Wolf, 2004, with a fixed
weight): there are few windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from device_agent.drift.self_calibrated import SelfCalibrated

Floats = npt.NDArray[np.float64]
_SHRINK = 0.3


class FeatureDistance:
    """Fitted once; `distance` is then a plain number for any detector."""

    def __init__(self, features: Floats, predicted: npt.NDArray[np.int64]) -> None:
        """features [windows, size], predicted [windows]: a time that is trusted."""
        if len(features) < 2 or features.ndim != 2 or len(features) != len(predicted):
            raise ValueError(f"features {features.shape} of {len(predicted)} windows: expected at least two of each")
        self._all = features.mean(axis=0)
        self._means = {int(label): features[predicted == label].mean(axis=0) for label in np.unique(predicted)}
        centred = features - np.stack([self._means[int(label)] for label in predicted])
        covariance = centred.T @ centred / max(len(features) - len(self._means), 1)
        diagonal = np.diag(np.diag(covariance))
        spread = float(np.trace(covariance)) / len(covariance)
        covariance = (1 - _SHRINK) * covariance + _SHRINK * diagonal + 1e-3 * (spread + 1e-9) * np.eye(len(covariance))
        self._inverse = np.linalg.inv(covariance)

    def distance(self, features: Sequence[float] | Floats, predicted: int) -> float:
        """Logarithm of the squared distance, which is nearly normal; of a class never seen, from the mean of all."""
        away = np.asarray(features, np.float64) - self._means.get(predicted, self._all)
        return float(np.log(away @ self._inverse @ away + 1e-9))


class FeatureDetector:
    """The distance behind a self-calibrated Page-Hinkley: first the place is learned, then the usual distance."""

    def __init__(self, learn: int = 60) -> None:
        self._learn, self._make = learn, partial(SelfCalibrated, "up", learn=learn)
        self.reset()

    @property
    def name(self) -> str:
        return "mahalanobis"

    def reset(self) -> None:
        self._features: list[Sequence[float]] = []
        self._predicted: list[int] = []
        self._distance: FeatureDistance | None = None
        self._detector = self._make()

    def update(self, features: Sequence[float], predicted: int) -> None:
        if self._distance is not None:
            self._detector.update(self._distance.distance(features, predicted))
            return
        self._features.append(features)
        self._predicted.append(predicted)
        if len(self._features) == self._learn:
            self._distance = FeatureDistance(np.asarray(self._features, np.float64), np.asarray(self._predicted))

    @property
    def drift_detected(self) -> bool:
        return self._detector.drift_detected

    @property
    def statistic(self) -> tuple[float, float]:
        return self._detector.statistic

    @property
    def change_point(self) -> int:
        return 0 if self._distance is None else self._learn + self._detector.change_point
