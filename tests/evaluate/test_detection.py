"""The measures of detectors, on traces whose change is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.detection import delay_of, delays, false_alarms_in_posture, false_alarms_shuffled
from biotrain.evaluate.detectors import detection_table, measure, watchers
from biotrain.evaluate.traces import Said, Trace, load_traces, save_traces


def said(count: int, error_rate: float, seed: int, shift: float = 0.0) -> Said:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, count)
    error = rng.random(count) < error_rate
    predicted = np.where(error, (label + 1) % 3, label)
    entropy = np.clip(rng.normal(0.3 + shift, 0.1, count), 0, None).astype(np.float32)
    features = (rng.normal(0, 1, (count, 4)) + 4 * np.eye(3, 4)[predicted] + 3 * shift).astype(np.float32)
    return Said(error, predicted, label, entropy, 1 - entropy, 1 - entropy / 2, features)


def trace(seed: int, after: float, shift: float = 0.0) -> Trace:
    return Trace(
        "P", seed, 1, said(48, 0.1, seed), said(48, 0.1, seed + 100), np.repeat([1, 2], 24),
        said(120, after, seed + 200, shift),
    )  # fmt: skip


class After:
    """Claims at its n-th window, once."""

    def __init__(self, n: int) -> None:
        self.n, self.seen = n, 0

    def feed(self, said: Said, i: int) -> bool:
        self.seen += 1
        return self.seen == self.n

    def reset(self) -> None:
        pass


def test_a_delay_counts_windows_of_the_new_day_only() -> None:
    t = trace(0, 0.6)
    assert delay_of(After(48 + 7), t) == 7
    assert delay_of(After(10), t) is None
    ten, twenty = delays(lambda t: After(48 + 7), [t, trace(1, 0.15)])
    assert (ten.changes, ten.found, ten.median_delay) == (1, 1, 7.0)
    assert twenty.recall == 1.0
    late = delays(lambda t: After(48 + 90), [t])[0]
    assert (late.recall, late.median_delay) == (0.0, None)


def test_false_alarms_are_counted_over_windows() -> None:
    found = false_alarms_shuffled(lambda t: After(5), [trace(0, 0.1)], windows_each=200)
    assert (found.windows, found.alarms) == (288, 1)  # whole rounds of 96
    assert false_alarms_in_posture(lambda t: After(5), [trace(0, 0.1)]).alarms == 2  # one in each posture


def test_traces_are_kept_whole(tmp_path: Path) -> None:
    traces = [trace(0, 0.5), Trace("Q", 1, 8, said(4, 0, 1), said(4, 0, 2), np.zeros(4, np.int64), None)]
    save_traces(tmp_path / "t.npz", traces)
    back = load_traces(tmp_path / "t.npz")
    assert [(t.subject, t.seed, t.session) for t in back] == [("P", 0, 1), ("Q", 1, 8)]
    assert back[1].next_day is None
    np.testing.assert_array_equal(back[0].next_day.features, traces[0].next_day.features)
    assert back[0].cost == pytest.approx(traces[0].cost)


def test_the_default_monitor_claims_a_clear_change_soon_and_little_else() -> None:
    traces = [trace(seed, 0.6) for seed in range(8)]
    row = measure("monitor", watchers()["monitor, weighted (default)"], traces)
    assert row["cost_20"]["recall"] == 1.0
    assert row["cost_20"]["median_delay"] <= 15
    assert row["shuffled"]["alarms"] <= 2
    assert "monitor" in detection_table([row])


@pytest.mark.parametrize("name", ["entropy", "margin", "confidence", "features"])
def test_witnesses_without_labels_see_what_they_watch_move(name: str) -> None:
    traces = [trace(seed, 0.6, shift=0.3) for seed in range(6)]
    assert measure(name, watchers()[name], traces)["cost_20"]["recall"] == 1.0
