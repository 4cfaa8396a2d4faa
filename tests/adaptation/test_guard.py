"""The guard's test against scipy, and what it lets through."""

from __future__ import annotations

import random

import pytest

from device_agent.adaptation.guard import judge, mcnemar_p, worse, worth_committing


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


def test_a_wrong_prediction_is_wrong_on_either_side_of_its_label() -> None:
    guard = judge([1, 1, 1, 1], [0, 2, 1, 0], [1, 1, 2, 0], 0.05)
    assert (guard.held_out, guard.before_correct, guard.after_correct) == (4, 1, 2)
    assert guard.p_value == mcnemar_p(2, 1)


def test_worse_is_what_the_guard_says_of_the_old_weights() -> None:
    labels, good, bad = [1] * 8, [1] * 8, [0] * 8
    # asked the other way round: the new weights' predictions first
    assert worse(judge(labels, bad, good, 0.05))
    assert not worse(judge(labels, good, bad, 0.05))
    assert not worse(judge(labels, good, good, 0.05))


def test_a_p_value_just_at_the_risk_is_enough() -> None:
    labels, before, after = [1] * 4, [0] * 4, [1] * 4
    p = mcnemar_p(4, 0)
    assert worth_committing(judge(labels, before, after, p))
    assert worse(judge(labels, before, after, p))
    assert not worth_committing(judge(labels, before, after, p * 0.999))


@pytest.mark.parametrize("lengths", [(5, 4, 4), (4, 5, 4), (4, 4, 5), (3, 4, 4), (4, 3, 4), (4, 4, 3)])
def test_every_list_is_counted(lengths: tuple[int, int, int]) -> None:
    labels, before, after = ([0] * length for length in lengths)
    with pytest.raises(ValueError, match="expected equally many"):
        judge(labels, before, after, 0.05)
