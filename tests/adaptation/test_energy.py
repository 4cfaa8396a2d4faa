"""A day's energy is spent once, whatever the clock does."""

from __future__ import annotations

import pytest

from device_agent.adaptation.energy import EnergyBudget

DAY_S = 86_400.0


def test_a_budget_is_spent_and_begins_anew_with_the_next_day() -> None:
    budget = EnergyBudget(100.0)
    now = 20 * DAY_S + 5
    assert budget.allows(60.0, now)
    budget.charge(60.0, now)
    assert not budget.allows(60.0, now + 3600)
    assert budget.allows(40.0, now + 3600)
    assert budget.allows(60.0, now + DAY_S)
    assert budget.spent_mj == 0.0


def test_a_clock_that_is_set_back_gives_nothing_back() -> None:
    budget = EnergyBudget(100.0)
    budget.charge(100.0, 20 * DAY_S)
    assert not budget.allows(1.0, 3 * DAY_S)
    again = EnergyBudget(100.0, budget.day, budget.spent_mj)
    assert not again.allows(1.0, 20 * DAY_S + 1)


def test_without_a_budget_everything_is_allowed_and_none_allows_nothing() -> None:
    free = EnergyBudget(None)
    free.charge(1e9, 0.0)
    assert free.allows(1e9, 0.0)
    assert not EnergyBudget(0.0).allows(1.0, 0.0)
    with pytest.raises(ValueError, match="0 or more"):
        EnergyBudget(-1.0)
