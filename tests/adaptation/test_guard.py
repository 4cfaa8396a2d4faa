"""The guard's test against scipy, and what it lets through."""

from __future__ import annotations

import random

import pytest

from device_agent.adaptation.guard import judge, mcnemar_p, worth_committing


@pytest.mark.parametrize("gained", range(12))
@pytest.mark.parametrize("lost", range(12))
def test_the_p_value_is_scipys(gained: int, lost: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue if gained + lost else 1.0
    assert mcnemar_p(gained, lost) == pytest.approx(expected, abs=1e-12)


def test_thousands_of_windows_are_no_harder() -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(1100, 2000, 0.5, alternative="greater").pvalue
    assert mcnemar_p(1100, 900) == pytest.approx(expected, rel=1e-9)


def test_five_windows_gained_and_none_lost_is_enough_and_four_is_not() -> None:
    five = judge([1] * 20, [0] * 5 + [1] * 15, [1] * 20, 0.05)
    four = judge([1] * 20, [0] * 4 + [1] * 16, [1] * 20, 0.05)
    assert worth_committing(five)
    assert not worth_committing(four)
    assert (five.before_correct, five.after_correct, five.held_out) == (15, 20, 20)


def test_a_model_that_is_no_better_is_committed_in_at_most_the_stated_share_of_runs() -> None:
    rng = random.Random(11)
    committed = 0
    for _ in range(2000):
        labels = [1] * 60
        before = [int(rng.random() < 0.7) for _ in labels]
        after = [int(rng.random() < 0.7) for _ in labels]
        committed += worth_committing(judge(labels, before, after, 0.05))
    assert committed / 2000 <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        judge([1, 2], [1], [1, 2], 0.05)
