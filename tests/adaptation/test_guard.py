"""The guard's test against scipy, and what it lets through."""

from __future__ import annotations

import random

import pytest

from device_agent.adaptation.guard import judge, mcnemar_p, worth_committing


def mid_p(gained: int, lost: int) -> float:
    """From scipy's binomial distribution."""
    stats = pytest.importorskip("scipy.stats")
    binomial = stats.binom(gained + lost, 0.5)
    return float(binomial.sf(gained) + 0.5 * binomial.pmf(gained))


@pytest.mark.parametrize("gained", range(12))
@pytest.mark.parametrize("lost", range(12))
def test_the_p_value_is_scipys(gained: int, lost: int) -> None:
    expected = mid_p(gained, lost) if gained + lost else 1.0
    assert mcnemar_p(gained, lost) == pytest.approx(expected, abs=1e-12)


def test_thousands_of_windows_are_no_harder() -> None:
    assert mcnemar_p(1100, 900) == pytest.approx(mid_p(1100, 900), rel=1e-9)


def test_four_windows_gained_and_none_lost_is_enough_and_three_is_not() -> None:
    four = judge([1] * 20, [0] * 4 + [1] * 16, [1] * 20, 0.05)
    three = judge([1] * 20, [0] * 3 + [1] * 17, [1] * 20, 0.05)
    assert worth_committing(four)
    assert not worth_committing(three)
    assert (four.before_correct, four.after_correct, four.held_out) == (16, 20, 20)


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
