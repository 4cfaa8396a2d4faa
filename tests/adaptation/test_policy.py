"""When the policy agrees, with which windows, and what it answers when it does not."""

from __future__ import annotations

from collections import Counter

from device_agent.adaptation.memory import RingMemory
from device_agent.adaptation.policy import PolicySettings, Selection, Wait, cool_down_windows, decide
from device_agent.settings import FitSettings

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


def test_the_newest_windows_and_older_ones_of_all_classes_are_trained_on() -> None:
    chosen = ask(memory(600))
    assert isinstance(chosen, Selection)
    assert chosen.train[-SETTINGS.first.recent :] == tuple(range(600 - SETTINGS.first.recent, 600))
    assert len(chosen.train) == SETTINGS.first.recent + SETTINGS.first.replayed
    assert min(chosen.train) < 100, "old ones too"
    assert len(set(chosen.train)) == len(chosen.train)


def test_after_attempts_in_vain_a_first_fit_learns_from_more_of_what_has_come_since_the_change() -> None:
    def newest(failures: int, since_window: int) -> int:
        chosen = ask(memory(600), failures=failures, since_window=since_window)
        assert isinstance(chosen, Selection)
        return next(n for n in range(601) if 599 - n not in chosen.train)

    recent = SETTINGS.first.recent
    assert newest(0, 400) == recent
    assert newest(3, 400) == recent + 3 * SETTINGS.more
    assert newest(3, 550) == recent + 10, "no more than have come"
    assert newest(3, 570) == recent


def test_more_windows_are_no_more_steps() -> None:
    fit = FitSettings(epochs=10, batch_size=8)
    assert fit.in_no_more_steps(120, 120) == fit
    assert fit.in_no_more_steps(90, 120) == fit
    for windows in (130, 240, 500, 5000):
        fewer = fit.in_no_more_steps(windows, 120)
        assert 1 <= fewer.epochs < fit.epochs
        assert fewer.epochs == 1 or fewer.steps(windows) <= fit.steps(120)


def test_a_refinement_is_a_smaller_fit_that_is_checked_on_older_windows() -> None:
    chosen = ask(memory(600), refining=True, woken_at=599)
    assert isinstance(chosen, Selection)
    assert len(chosen.train) == SETTINGS.refine.recent + SETTINGS.refine.replayed
    assert len(chosen.control) == SETTINGS.control
    assert not set(chosen.control) & set(chosen.train)


def test_few_labels_and_long_after_the_alert_a_cheaper_refinement_is_enough() -> None:
    def windows(**more: object) -> int:
        chosen = ask(memory(600), refining=True, **more)
        assert isinstance(chosen, Selection)
        return len(chosen.train)

    whole, cheaper = (diet.recent + diet.replayed for diet in (SETTINGS.refine, SETTINGS.little))
    assert cheaper < whole
    assert windows(woken_at=599, since_window=600 - SETTINGS.few) == whole
    assert windows(woken_at=599, since_window=601 - SETTINGS.few) == cheaper
    assert windows(woken_at=599 - SETTINGS.grace) == whole
    assert windows(woken_at=598 - SETTINGS.grace) == cheaper
    assert windows(woken_at=0, forced=True) == whole, "whoever asks for a fit gets one"


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
    assert all(w % 3 and w % 5 for w in chosen.train)


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
    counts = Counter(ring.labels(chosen.train))
    assert min(counts.values()) >= max(counts.values()) / 2
    assert len(counts) == 4


def test_what_is_replayed_changes_from_fit_to_fit_and_not_otherwise() -> None:
    ring = memory(600)
    assert ask(ring, newest_window=599) == ask(ring, newest_window=599)
    assert ask(ring, newest_window=599) != ask(ring, newest_window=600)


def test_attempts_follow_each_other_until_too_many_were_in_vain() -> None:
    ring = memory(200)
    for refining in (False, True):
        newest = 199 - SETTINGS.every
        assert isinstance(ask(ring, last_attempt_window=newest, refining=refining), Selection)
        assert isinstance(ask(ring, last_attempt_window=newest + 1, refining=refining), Wait)
        assert isinstance(
            ask(ring, last_attempt_window=newest, refining=refining, failures=SETTINGS.attempts + 10), Wait
        )
    assert cool_down_windows(SETTINGS, SETTINGS.attempts) == SETTINGS.every
    assert cool_down_windows(SETTINGS, SETTINGS.attempts + 6) > cool_down_windows(SETTINGS, SETTINGS.attempts + 3)
    assert cool_down_windows(SETTINGS, SETTINGS.attempts + 3) > SETTINGS.every
    assert cool_down_windows(SETTINGS, 10_000) == SETTINGS.longest_pause


def test_an_operators_command_does_not_wait_for_the_cool_down() -> None:
    assert isinstance(ask(memory(200), last_attempt_window=199, forced=True), Selection)


def test_the_ring_forgets_its_oldest_windows() -> None:
    ring = memory(300, capacity=100)
    assert [kept.id for kept in ring.labelled()] == list(range(200, 300))
    again = RingMemory(100)
    again.restore(ring.snapshot())
    assert again.labelled() == ring.labelled()


def test_where_nothing_is_wrong_nothing_is_mended_but_by_command() -> None:
    ring = memory(200)
    for w in range(200, 240):
        ring.add(w, w % 4, usable=True, predicted=(w + (w >= 238)) % 4)
    answer = ask(ring, since_window=200)
    assert isinstance(answer, Wait)
    assert "nothing to mend: 2 of the newest 40" in answer.reason
    assert isinstance(ask(ring, since_window=200, forced=True), Selection)
    ring.add(240, 0, usable=True, predicted=1)
    assert isinstance(ask(ring, since_window=200), Selection)
