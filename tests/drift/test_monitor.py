"""The monitor: when it claims drift, since when, and when it keeps quiet."""

from __future__ import annotations

import random

import pytest

from device_agent.drift.combine import Rule, claims, sureness
from device_agent.drift.monitor import DriftMonitor
from device_agent.drift.registry import error_detector
from device_agent.wearable.api import WindowReport
from schemas.drift import Evidence


def monitor(reference: float | None = 0.1) -> DriftMonitor:
    return DriftMonitor(lambda r: error_detector("page-hinkley", r), reference)


def feed(m: DriftMonitor, first: int, count: int, rate: float, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [w for w in range(first, first + count) if m.observe(w, rng.random() < rate, 0.4)]


@pytest.mark.parametrize("rate", [0.04, 0.25])
def test_on_its_reference_it_claims_less_than_once_in_two_thousand_windows(rate: float) -> None:
    claimed = [feed(monitor(rate), 0, 2000, rate, seed) for seed in range(8)]
    assert sum(map(len, claimed)) <= 8  # of 16,000 windows


def test_a_fall_of_accuracy_is_claimed_once_with_its_beginning() -> None:
    m = monitor()
    assert feed(m, 0, 200, 0.08, 1) == []
    alerts = feed(m, 200, 100, 0.5, 2)
    assert len(alerts) == 1
    assert 205 <= alerts[0] <= 240
    assert m.active
    assert m.since_window is not None
    assert 190 <= m.since_window <= alerts[0]


def test_after_a_reset_a_new_fall_is_claimed_again() -> None:
    m = monitor()
    assert len(feed(m, 0, 60, 0.6, 3)) == 1
    m.reset()
    assert len(feed(m, 60, 60, 0.6, 4)) == 1


def test_when_the_error_comes_back_to_its_reference_the_alert_ends_by_itself() -> None:
    m = monitor()
    feed(m, 0, 60, 0.6, 3)
    assert m.active
    feed(m, 60, 400, 0.02, 4)
    assert not m.active


def test_without_labels_entropy_raises_the_alert() -> None:
    m = monitor(None)
    rng = random.Random(5)
    quiet = [m.observe(w, None, 0.3 + 0.1 * rng.random()) for w in range(300)]
    assert quiet == [None] * 300
    loud = [m.observe(w, None, 1.0 + 0.1 * rng.random()) for w in range(300, 360)]
    claims = [claim for claim in loud if claim]
    assert len(claims) == 1
    fired = [evidence.watches for evidence in claims[0].evidence if evidence.fired]
    assert fired == ["entropy"]
    assert claims[0].since_window >= 290


def test_with_labels_entropy_alone_raises_nothing() -> None:
    m = monitor()
    for w in range(400):
        assert m.observe(w, w % 10 == 0, 0.3 if w < 200 else 1.5) is None


def test_it_carries_on_after_a_restart() -> None:
    m, again = monitor(), monitor()
    feed(m, 0, 60, 0.6, 3)
    again.restore(m.snapshot())
    assert (again.active, again.since_window, again.reference_error) == (True, m.since_window, 0.1)


def test_late_labels_are_watched_like_those_that_come_with_their_window() -> None:
    prompt, late = monitor(), monitor()
    rng = random.Random(6)
    errors = [rng.random() < (0.05 if w < 100 else 0.6) for w in range(160)]
    at_once = [prompt.observe(w, errors[w], 0.4) for w in range(160)]
    afterwards = []
    for w in range(180):
        claim = late.observe(w, None, 0.4)
        assert claim is None
        if w >= 20:
            afterwards.append(late.label(w - 20, errors[w - 20]))
    claims, late_claims = [c for c in at_once if c], [c for c in afterwards if c]
    assert len(claims) == len(late_claims) == 1
    assert (late_claims[0].window, late_claims[0].since_window) == (claims[0].window, claims[0].since_window)
    assert late.smoothed_error == prompt.smoothed_error


def test_labels_that_come_late_keep_entropy_from_deciding_alone() -> None:
    m = monitor()
    claims = []
    for w in range(400):
        claims.append(m.observe(w, None, 0.3 if w < 200 else 1.5))
        claims.append(m.label(w - 10, False) if w >= 10 else None)
    assert not any(claims)


def test_a_stream_without_end_is_remembered_in_bounded_memory() -> None:
    m = monitor(0.0)
    feed(m, 0, 10_000, 0.0, 7)
    assert len(m._windows._kept) == len(m._others[0][1]._kept) == 4096
    feed(m, 10_000, 100, 0.9, 8)
    assert m.since_window is not None
    assert 9_990 <= m.since_window <= 10_010, "the n-th value still leads to its window"


def witness(watches: str, fired: bool) -> Evidence:
    return Evidence(detector="x", watches=watches, statistic=2.0 if fired else 0.0, threshold=1.0, fired=fired)


@pytest.mark.parametrize(
    ("fired", "rare", "claimed"),
    [
        (("error",), False, (True, False, True)),
        (("entropy",), False, (True, False, False)),
        (("entropy",), True, (True, False, True)),
        (("features",), True, (True, False, False)),
        (("features", "margin", "confidence"), True, (True, True, True)),
        (("features", "margin", "confidence"), False, (True, True, False)),
        ((), True, (False, False, False)),
    ],
)
def test_the_rules(fired: tuple[str, ...], rare: bool, claimed: tuple[bool, bool, bool]) -> None:
    evidence = [witness(name, name in fired) for name in ("error", "entropy", "margin", "confidence", "features")]
    found = tuple(claims(rule, evidence, labels_rare=rare) for rule in (Rule.ANY, Rule.MAJORITY, Rule.WEIGHTED))
    assert found == claimed


def test_sureness_is_the_binomial_tail() -> None:
    binom = pytest.importorskip("scipy.stats").binom
    for errors, windows, rate in ((0, 10, 0.2), (5, 10, 0.2), (10, 10, 0.2), (40, 300, 0.1)):
        assert sureness(errors, windows, rate) == pytest.approx(binom.cdf(errors - 1, windows, rate), abs=1e-9)
    assert sureness(0, 0, 0.1) is None


def test_features_that_move_away_without_labels_say_so_and_since_when() -> None:
    rng, m = random.Random(8), monitor(None)

    def report(window: int, shift: float) -> WindowReport:
        label = window % 3
        features = tuple(rng.gauss(5.0 * (label == k) + shift, 1.0) for k in range(6))
        probabilities = tuple(0.9 if k == label else 0.05 for k in range(3))
        return WindowReport(window, 0, label, probabilities, 0.85, 0.39, 1, features=features)

    for window in range(300):
        m.observe(window, None, 0.39, report(window, 0.0))
    assert not any(evidence.fired for evidence in m.evidence())
    for window in range(300, 360):
        m.observe(window, None, 0.39, report(window, 3.0))
    fired = {evidence.watches: evidence.since_window for evidence in m.evidence() if evidence.fired}
    assert list(fired) == ["features"]
    assert 295 <= (fired["features"] or 0) <= 305
    assert not m.active, "features alone are half a witness"
