"""The comparison that stops a roll-out: right level, enough power, and nobody is blamed for a bad day of everybody."""

from __future__ import annotations

import numpy as np
import pytest

from service.rollout.comparison import BLOCK, Counts, Pair, compare, dispersion, threshold
from service.rollout.settings import RolloutSettings, stages_of

MARGIN, RISK = 0.02, 0.05


def counted(random: np.random.Generator, accuracy: float, labelled: int, clump: int = 1) -> Counts:
    """Windows that are right together, `clump` at a time."""
    right = np.repeat(random.random(labelled // clump) < accuracy, clump).reshape(-1, BLOCK)
    per_block = right.sum(axis=1)
    return Counts(right.size, int(right.sum()), len(right), float((per_block**2 / BLOCK).sum()))


def pairs(random: np.random.Generator, devices: int, fall: float, labelled: int = 400, clump: int = 1) -> list[Pair]:
    found = []
    for accuracy in random.uniform(0.7, 0.95, devices):
        before, after = counted(random, accuracy, 2000, clump), counted(random, accuracy - fall, labelled, clump)
        found.append(Pair(before, after))
    return found


@pytest.mark.parametrize("clump", [1, 10])
def test_a_loss_of_just_the_margin_is_called_a_loss_no_more_often_than_the_risk(clump: int) -> None:
    """400 looks at the hardest harmless plan; 5 % of them plus three standard errors may err."""
    random = np.random.default_rng(5)
    verdicts = [
        compare(pairs(random, 3, MARGIN, clump=clump), pairs(random, 20, 0.0, clump=clump), MARGIN) for _ in range(400)
    ]
    wrong = sum(verdict is not None and verdict.p_value <= RISK for verdict in verdicts) / len(verdicts)
    assert wrong <= RISK + 3 * (RISK * (1 - RISK) / len(verdicts)) ** 0.5


def test_many_looks_at_the_same_devices_spend_the_risk_once() -> None:
    random = np.random.default_rng(6)
    stopped, courses = 0, 150
    for _ in range(courses):
        befores = [counted(random, 0.85, 2000) for _ in range(3)]
        courses_of = [(random.random(1000) < 0.85 - MARGIN).reshape(-1, BLOCK).sum(axis=1) for _ in range(3)]
        for look in range(1, 17):
            afters = []
            for blocks in courses_of:
                seen = blocks[: 3 * look]
                afters.append(Counts(len(seen) * BLOCK, int(seen.sum()), len(seen), float((seen**2 / BLOCK).sum())))
            verdict = compare([Pair(b, a) for b, a in zip(befores, afters, strict=True)], [], MARGIN)
            assert verdict is not None
            if verdict.p_value <= threshold(RISK, look):
                stopped += 1
                break
    assert stopped / courses <= RISK + 3 * (RISK * (1 - RISK) / courses) ** 0.5
    assert sum(threshold(RISK, look) for look in range(1, 10_000)) <= RISK


def test_a_fall_of_fifteen_points_is_found_with_a_canary_of_two() -> None:
    random = np.random.default_rng(7)
    verdicts = [compare(pairs(random, 2, 0.15), pairs(random, 20, 0.0), MARGIN) for _ in range(50)]
    assert sum(verdict is not None and verdict.p_value <= threshold(RISK, 3) for verdict in verdicts) >= 48


def test_what_happens_to_everybody_is_not_the_plans_doing() -> None:
    random = np.random.default_rng(8)
    changed, others = pairs(random, 3, 0.2), pairs(random, 30, 0.2)
    alone, beside = compare(changed, [], MARGIN), compare(changed, others, MARGIN)
    assert alone is not None
    assert beside is not None
    assert alone.p_value < 1e-6
    assert beside.p_value > 0.05
    assert abs(beside.difference) < 0.06


def test_windows_that_are_alike_count_as_fewer() -> None:
    random = np.random.default_rng(9)
    assert dispersion([counted(random, 0.8, 20_000)]) == pytest.approx(1.0, abs=0.15)
    assert dispersion([counted(random, 0.8, 20_000, clump=10)]) == pytest.approx(10.0, rel=0.15)


def test_there_is_no_verdict_before_there_is_something_on_both_sides() -> None:
    assert compare([], [], MARGIN) is None
    assert compare([Pair(Counts(), Counts(20, 18, 1, 16.2))], [], MARGIN) is None


def test_stages_grow_by_their_shares_and_named_canaries_come_first() -> None:
    names = [f"d{n}" for n in range(40)]
    stages = stages_of(names, RolloutSettings(shares=(0.05, 0.25, 1.0), canaries=("d7", "d9", "d11")), seed="s")
    assert {name for name, stage in stages.items() if stage == 0} == {"d7", "d9", "d11"}
    assert [sum(stage <= last for stage in stages.values()) for last in range(3)] == [3, 10, 40]
    assert stages == stages_of(list(reversed(names)), RolloutSettings(canaries=("d7", "d9", "d11")), seed="s")
    assert stages_of(["a", "b"], RolloutSettings(), seed="s").keys() == {"a", "b"}
    assert sorted(stages_of(["a", "b"], RolloutSettings(), seed="s").values()) == [0, 1]
    with pytest.raises(ValueError, match="shares grow"):
        RolloutSettings(shares=(0.5, 0.25, 1.0))
