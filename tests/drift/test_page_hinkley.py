"""The project's own Page-Hinkley, against river's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import pytest

from device_agent.drift.detector import Detector
from device_agent.drift.page_hinkley import PageHinkley


def indices(detector: Detector, stream: list[float]) -> list[int]:
    found = []
    for i, x in enumerate(stream):
        detector.update(x)
        if detector.drift_detected:
            found.append(i)
            detector.reset()
    return found


def rivers_indices(stream: list[float], **parameters: object) -> list[int]:
    module = pytest.importorskip("river.drift.page_hinkley")
    detector, found = module.PageHinkley(**parameters), []
    for i, x in enumerate(stream):
        detector.update(x)
        if detector.drift_detected:
            found.append(i)
    return found


def steps(seed: int) -> list[float]:
    rng = random.Random(seed)
    return [float(x) for x in rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)]


def errors(seed: int) -> list[float]:
    rng = random.Random(seed)
    rates = [0.1] * 300 + [0.5] * 300 + [0.2] * 300 + [0.7] * 300
    return [float(rng.random() < rate) for rate in rates]


@pytest.mark.parametrize("make", [steps, errors])
@pytest.mark.parametrize("mode", ["up", "down", "both"])
@pytest.mark.parametrize("seed", [1, 2, 12345])
def test_it_detects_at_exactly_rivers_indices(
    make: Callable[[int], list[float]], mode: Literal["up", "down", "both"], seed: int
) -> None:
    stream = make(seed)
    threshold = 10.0 if make is errors else 50.0
    ours = indices(PageHinkley(threshold=threshold, mode=mode), stream)
    assert ours == rivers_indices(stream, threshold=threshold, mode=mode)
    if mode != "down":
        assert ours, "a stream whose mean climbs must be noticed"


def test_rivers_own_example_has_its_exact_index() -> None:
    assert indices(PageHinkley(), steps(12345)) == [1006]


def test_it_stays_detected_until_it_is_reset() -> None:
    detector = PageHinkley(reference=0.1, delta=0.1, threshold=2.0, alpha=1.0, mode="up")
    for x in [1.0] * 5 + [0.0] * 100:
        detector.update(x)
    assert detector.drift_detected
    detector.reset()
    assert not detector.drift_detected
    assert detector.statistic[0] == 0.0


def test_with_a_reference_a_change_that_was_there_from_the_start_is_seen() -> None:
    stream = [1.0, 0.0] * 40
    known = PageHinkley(reference=0.1, delta=0.1, threshold=5.0, alpha=1.0, mode="up")
    learned = PageHinkley(delta=0.1, threshold=5.0, alpha=1.0, mode="up")
    assert indices(known, stream)
    assert not indices(learned, stream)


def test_the_change_point_is_where_the_errors_begin() -> None:
    rng = random.Random(7)
    detector = PageHinkley(reference=0.1, delta=0.1, threshold=5.0, alpha=1.0, mode="up")
    stream = [float(rng.random() < 0.08) for _ in range(200)] + [1.0] * 10
    for x in stream:
        detector.update(x)
    assert detector.drift_detected
    assert 195 <= detector.change_point <= 200


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        PageHinkley().update(float("nan"))
