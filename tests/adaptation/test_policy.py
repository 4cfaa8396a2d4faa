"""When the policy agrees, with which windows, and what it answers when it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.adaptation.holdout import HoldOut
from device_agent.adaptation.memory import RingMemory
from device_agent.adaptation.policy import PolicySettings, Selection, Wait, cool_down_windows, decide

SETTINGS = PolicySettings()


def memory(windows: int, *, classes: int = 4, first: int = 0, capacity: int = 5000) -> RingMemory:
    ring = RingMemory(capacity)
    for w in range(first, first + windows):
        ring.add(w, w % classes, usable=True)
    return ring


def ask(ring: RingMemory, **more: object) -> Selection | Wait:
    newest = max((kept.id for kept in ring.labelled()), default=0)
    arguments: dict[str, object] = {
        "classes": 4, "since_window": 0, "newest_window": newest, "last_attempt_window": None, "failures": 0,
    }  # fmt: skip
    return decide(ring, SETTINGS, **{**arguments, **more})  # type: ignore[arg-type]


@given(st.integers(1, 8), st.integers(2, 8), st.integers(0, 3), st.integers(20, 300))
def test_neighbours_never_stand_on_both_sides(block: int, every: int, gap: int, count: int) -> None:
    if gap >= block * (every - 1) / 2:
        with pytest.raises(ValueError, match="gaps"):
            HoldOut(block, every, gap)
        return
    train, held_out = HoldOut(block, every, gap).split(range(count))
    assert all(abs(t - h) > gap for t in train for h in held_out)


def test_enough_new_windows_of_all_classes_are_adapted_to() -> None:
    ring = memory(200)
    chosen = ask(ring)
    assert isinstance(chosen, Selection)
    assert not set(chosen.train) & set(chosen.held_out)
    assert all(abs(t - h) > SETTINGS.hold_out.gap for h in chosen.held_out for t in chosen.train if t > h - 10)
    assert len(chosen.held_out) >= SETTINGS.min_held_out


def test_too_few_windows_since_the_change_wait() -> None:
    answer = ask(memory(200), since_window=195)
    assert isinstance(answer, Wait)
    assert "5 new labelled windows" in answer.reason


def test_windows_without_label_or_with_a_fault_are_not_trained_on() -> None:
    ring = RingMemory(1000)
    for w in range(300):
        ring.add(w, None if w % 3 == 0 else w % 4, usable=w % 5 != 0)
    chosen = ask(ring)
    assert isinstance(chosen, Selection)
    assert all(w % 3 and w % 5 for w in chosen.train + chosen.held_out)


def test_one_or_two_classes_are_not_enough() -> None:
    ring = RingMemory(1000)
    for w in range(200):
        ring.add(w, w % 2, usable=True)
    answer = ask(ring)
    assert isinstance(answer, Wait)
    assert "2 of 4 classes" in answer.reason


def test_classes_that_the_change_has_not_shown_yet_are_filled_up_from_older_windows() -> None:
    ring = memory(600)
    for w in range(600, 800):
        ring.add(w, w % 2, usable=True)
    chosen = ask(ring, since_window=600)
    assert isinstance(chosen, Selection)
    counts = [sum(label == c for label in ring.labels(chosen.train)) for c in range(4)]
    assert min(counts) >= max(counts) / 2


def test_it_cools_down_and_longer_after_each_failure() -> None:
    ring = memory(200)
    assert isinstance(ask(ring, last_attempt_window=199 - cool_down_windows(SETTINGS, 0)), Selection)
    assert isinstance(ask(ring, last_attempt_window=200 - cool_down_windows(SETTINGS, 0)), Wait)
    assert cool_down_windows(SETTINGS, 3) > cool_down_windows(SETTINGS, 1) > cool_down_windows(SETTINGS, 0)
    assert cool_down_windows(SETTINGS, 50) == cool_down_windows(SETTINGS, 6)


def test_an_operators_command_does_not_wait_for_the_cool_down() -> None:
    assert isinstance(ask(memory(200), last_attempt_window=199, forced=True), Selection)


def test_what_the_serving_weights_have_learned_from_judges_nothing() -> None:
    ring = memory(300)
    ring.mark_trained(range(250))
    chosen = ask(ring)
    assert isinstance(chosen, Selection)
    assert min(chosen.held_out) >= 250


def test_the_ring_forgets_its_oldest_windows() -> None:
    ring = memory(300, capacity=100)
    assert [kept.id for kept in ring.labelled()] == list(range(200, 300))
    again = RingMemory(100)
    again.restore(ring.snapshot())
    assert again.labelled() == ring.labelled()
