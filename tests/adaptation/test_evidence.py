"""The bet: how often it is won for nothing, how soon where there is something, and how it is lost again."""

from __future__ import annotations

import random

import pytest

from device_agent.adaptation.episode import Episode
from device_agent.adaptation.evidence import Bet

RISK = 0.05


def ever_proven(rng: random.Random, first: float, second: float, windows: int = 400) -> int | None:
    """The window at which two models that are right independently, with these chances, are told apart."""
    bet = Bet(RISK)
    for window in range(windows):
        bet.add(rng.random() < first, rng.random() < second)
        if bet.proven:
            return window
    return None


def test_looking_at_every_window_does_not_raise_the_risk() -> None:
    rng, runs = random.Random(3), 1500
    wrong = sum(ever_proven(rng, 0.7, 0.7) is not None for _ in range(runs))
    assert wrong / runs <= RISK + 2.6 * (RISK * (1 - RISK) / runs) ** 0.5
    assert wrong > 0, "a bet that is never won would prove nothing here"


def test_a_model_that_is_worse_is_never_taken_for_better() -> None:
    rng = random.Random(4)
    assert sum(ever_proven(rng, 0.6, 0.7) is not None for _ in range(400)) / 400 <= 0.01


@pytest.mark.parametrize(("first", "second", "most"), [(0.9, 0.3, 25), (0.85, 0.65, 170)])
def test_a_better_model_is_told_soon(first: float, second: float, most: int) -> None:
    rng = random.Random(5)
    taken = sorted(ever_proven(rng, first, second, 2000) or 2000 for _ in range(101))
    assert taken[50] <= most


def test_whoever_has_lost_with_poor_models_can_still_win_with_better_ones() -> None:
    rng, taken = random.Random(6), []
    for _ in range(51):
        bet = Bet(RISK)
        for _ in range(300):
            bet.add(rng.random() < 0.6, rng.random() < 0.7)
        windows = 0
        while not bet.proven and windows < 3000:
            bet.add(rng.random() < 0.85, rng.random() < 0.65)
            windows += 1
        taken.append(windows)
    assert sorted(taken)[25] <= 170, "without something kept back it takes over 200"


def test_a_bet_outlives_a_restart() -> None:
    bet, again = Bet(RISK), Bet(RISK)
    for won in (True, False, True):
        bet.add(won, not won)
    again.restore(bet.snapshot())
    bet.add(True, False)
    again.add(True, False)
    assert again.value == bet.value


def test_what_was_proven_long_ago_is_lost_again() -> None:
    bet = Bet(RISK)
    for _ in range(500):
        bet.add(True, False)
    assert bet.proven
    assert bet.standing
    for _ in range(30):
        bet.add(False, True)
    assert not bet.standing


def test_windows_that_both_get_right_or_wrong_say_nothing() -> None:
    bet = Bet(RISK)
    bet.add(True, True)
    bet.add(False, False)
    assert bet.value == pytest.approx(1.0)


def test_windows_on_which_the_models_differ_are_counted() -> None:
    bet = Bet(0.05)
    assert (bet.won, bet.lost) == (0, 0)
    for first, second in [(True, False)] * 3 + [(False, True)] * 2 + [(True, True), (False, False)] + [(True, False)]:
        bet.add(first, second)
    assert (bet.won, bet.lost) == (4, 2)


@pytest.mark.parametrize("risk", [0.05, 0.3])
def test_a_stake_never_counts_as_more_than_twenty_times_a_proof(risk: float) -> None:
    bet = Bet(risk)
    for _ in range(500):
        bet.add(True, False)
        assert bet.value <= 20 / risk * (1 + 1e-12)
    assert bet.value == pytest.approx(20 / risk)


def test_bold_bets_carry_a_clear_difference_and_careful_ones_stay_in_the_game() -> None:
    bet = Bet(0.001)
    bet.add(True, False)
    # 0.3 are kept back, a hundredth of them joins; a tenth of the rest on each share, 0.05 to 0.9
    assert bet.value == pytest.approx(0.297 + 0.703 * 1.455)
    for _ in range(19):
        bet.add(True, False)
    assert bet.value > 15_000  # were all shared out anew each time, 1.455 ** 20 = 1,800
    for _ in range(40):
        bet.add(False, True)
    assert min(bet.snapshot()["stakes"]) > 0.0


def test_a_risk_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected above 0"):
        Bet(0.0)


def test_an_episode_survives_a_restart() -> None:
    episode = Episode(RISK)
    episode.begin(100, 110)
    for window in range(120, 180):
        episode.compare(window, window % 5 != 0, window % 2 == 0)
    episode.committed = True
    for error in (True, False, False):
        episode.served(error)
    again = Episode(RISK)
    again.restore(episode.snapshot())
    assert again.snapshot() == episode.snapshot()
    assert again.guard() == episode.guard()


def test_an_episode_has_recovered_when_the_error_is_back_at_its_reference() -> None:
    episode = Episode(RISK)
    episode.begin(0, 0)
    for _ in range(200):
        episode.served(False)
    assert not episode.recovered(0.1), "others' weights served"
    episode.committed = True
    for k in range(80):
        assert not episode.recovered(0.1)
        episode.served(k % 10 == 0)
    assert episode.recovered(0.1)
    assert not episode.recovered(0.05)
    assert episode.recovered(None)


def test_a_later_alert_wakes_an_episode_that_rests() -> None:
    episode = Episode(RISK)
    episode.begin(100, 110)
    episode.committed = True
    for _ in range(80):
        episode.served(False)
    episode.rest()
    episode.wake(400, 412)
    assert (episode.resting, episode.since_window, episode.woken_at) == (False, 400, 412)
    assert episode.recent_error is None, "what was right before the alert says nothing of it"
