"""Calibrated thresholds keep the rate of false alarms that they state."""

from __future__ import annotations

import random

import numpy as np
import pytest

from device_agent.drift.feature_distance import FeatureDistance
from device_agent.drift.page_hinkley import PageHinkley
from device_agent.drift.self_calibrated import SelfCalibrated
from device_agent.drift.thresholds import error_threshold, mean_windows_between, value_threshold


@pytest.mark.parametrize(("rate", "threshold"), [(0.1, 3.0), (0.2, 3.3), (0.35, 3.7)])
def test_the_computed_run_length_is_the_simulated_one(rate: float, threshold: float) -> None:
    rng, runs, windows = random.Random(1), 0, 0
    detector = PageHinkley(reference=rate, delta=0.1, threshold=threshold, alpha=1.0, mode="up")
    while runs < 150:
        windows += 1
        detector.update(float(rng.random() < rate))
        if detector.drift_detected:
            runs += 1
            detector.reset()
    # the standard error of 150 runs is 8 %; cells of the chain are a little coarse
    assert mean_windows_between(rate, 0.1, threshold) == pytest.approx(windows / runs, rel=0.4)


def test_who_makes_few_errors_is_watched_more_closely() -> None:
    found = [error_threshold(rate, 0.1) for rate in (0.03, 0.1, 0.2, 0.4)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_a_threshold_drawn_from_the_reference_keeps_its_rate_on_new_values() -> None:
    rng = np.random.default_rng(4)
    alarms = windows = 0
    for _ in range(20):
        detector = SelfCalibrated("up", learn=200, every=1000)
        for value in rng.normal(3.0, 0.5, 200):
            detector.update(float(value))
        for value in rng.normal(3.0, 0.5, 1000):
            detector.update(float(value))
        windows, alarms = windows + 1000, alarms + detector.drift_detected
    assert alarms <= 20  # stated: one in each stream of 1,000
    assert value_threshold(np.repeat([-1.0, 1.0], 50), 0.5) > value_threshold(np.tile([-1.0, 1.0], 50), 0.5)


def test_single_wild_values_are_no_lasting_change() -> None:
    detector = SelfCalibrated("up", learn=60)
    for value in [0.0, 1.0, 0.5] * 40:
        detector.update(value)
    for _ in range(3):
        detector.update(1e6)
        for _ in range(20):
            detector.update(0.5)
    assert not detector.drift_detected


def test_the_distance_is_small_for_the_own_class_and_large_away_from_it() -> None:
    rng = np.random.default_rng(5)
    labels = np.arange(200) % 2
    features = rng.normal(0, 1, (200, 4)) + 10.0 * labels[:, None]
    fitted = FeatureDistance(features, labels)
    near, other = fitted.distance([0.0] * 4, 0), fitted.distance([10.0] * 4, 0)
    assert other > near + 3
    assert fitted.distance([10.0] * 4, 1) < other - 3
    assert np.isfinite(fitted.distance([5.0] * 4, 7))  # a class never seen
