"""What can be watched without labels: one line for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from device_agent.drift.feature_distance import FeatureDetector
from device_agent.drift.self_calibrated import SelfCalibrated
from device_agent.wearable.api import WindowReport
from schemas.drift import Evidence


class _Claiming(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def drift_detected(self) -> bool: ...

    @property
    def statistic(self) -> tuple[float, float]: ...

    @property
    def change_point(self) -> int: ...


class Watch:
    """A detector, and what of a window it is fed."""

    def __init__(self, watches: str, detector: _Claiming, take: Callable[[float, WindowReport | None], bool]) -> None:
        self._watches, self._detector, self._take = watches, detector, take

    def feed(self, entropy: float, report: WindowReport | None) -> bool:
        """False when the window does not hold what is watched."""
        return self._take(entropy, report)

    def evidence(self, window_of: Callable[[int], int]) -> Evidence:
        """`window_of` gives the window of the n-th value."""
        detector = self._detector
        return Evidence(
            detector=detector.name,
            watches=self._watches,
            statistic=detector.statistic[0],
            threshold=detector.statistic[1],
            fired=detector.drift_detected,
            since_window=window_of(detector.change_point) if detector.drift_detected else None,
        )


def _entropy() -> Watch:
    detector = SelfCalibrated("up")

    def take(entropy: float, report: WindowReport | None) -> bool:
        detector.update(entropy)
        return True

    return Watch("entropy", detector, take)


def _of_report(watches: str, value: Callable[[WindowReport], float]) -> Watch:
    detector = SelfCalibrated("down")

    def take(entropy: float, report: WindowReport | None) -> bool:
        if report is None:
            return False
        detector.update(value(report))
        return True

    return Watch(watches, detector, take)


def _features() -> Watch:
    detector = FeatureDetector()

    def take(entropy: float, report: WindowReport | None) -> bool:
        if report is None or not report.features:
            return False
        detector.update(report.features, report.predicted)
        return True

    return Watch("features", detector, take)


UNLABELLED: tuple[Callable[[], Watch], ...] = (
    _entropy,
    lambda: _of_report("margin", lambda report: report.margin),
    lambda: _of_report("confidence", lambda report: max(report.probabilities)),
    _features,
)
