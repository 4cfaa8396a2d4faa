"""When to adapt, and with which windows. Pure: everything comes in as arguments."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from device_agent.adaptation.holdout import HoldOut
from device_agent.adaptation.memory import Kept, RingMemory


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The numbers were chosen on EMG of eight days, streamed in recorded order: grips in blocks, rests between."""

    min_new: int = 24
    """Since the change: two grips and the rests between, enough to see that a fit helps."""
    min_held_out: int = 8
    """The test needs four windows gained and none lost; those that arrive during the fit are added."""
    max_held_out: int = 60
    look_back: int = 120
    """A change is noticed late, and its beginning is a guess: windows this far before it still judge."""
    min_per_class: int = 3
    min_class_share: float = 0.8
    """With what is replayed: a fit that has seen one or two classes forgets the others."""
    cool_down: int = 8
    patience: float = 1.2
    """Each attempt in a row without a commit lengthens the cool-down by this factor, six times at most."""
    max_recent: int = 80
    """Newest windows to train on: somewhat more than one posture with all its grips."""
    max_replay: int = 240
    """Older ones, of all classes and as many days as the ring holds."""
    hold_out: HoldOut = field(default_factory=lambda: HoldOut(block=4, every=4, gap=1))


@dataclass(frozen=True, slots=True)
class Selection:
    """Windows of one run, by id."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now, and why, for a person to read."""

    reason: str


def cool_down_windows(settings: PolicySettings, failures: int) -> int:
    """Windows to let pass after an attempt; longer after each attempt in a row that was not committed."""
    return round(settings.cool_down * settings.patience ** min(failures, 6))


def decide(
    memory: RingMemory,
    settings: PolicySettings,
    *,
    classes: int,
    since_window: int,
    newest_window: int,
    last_attempt_window: int | None,
    failures: int,
    forced: bool = False,
) -> Selection | Wait:
    """May an adaptation begin, for a change that began at `since_window`?

    `forced` (an operator's command) skips the cool-down; what a fit and its guard need stays needed.
    """
    if last_attempt_window is not None and not forced:
        left = last_attempt_window + cool_down_windows(settings, failures) - newest_window
        if left > 0:
            return Wait(f"cooling down: {left} more windows after the last attempt")
    new = memory.labelled(lambda kept: kept.id >= since_window and not kept.trained)
    if len(new) < settings.min_new:
        return Wait(f"{len(new)} new labelled windows since the change, {settings.min_new} are needed")
    fresh = memory.labelled(lambda kept: kept.id >= since_window - settings.look_back and not kept.trained)
    held_out = [kept.id for kept in fresh if settings.hold_out.held_out(kept.id)][-settings.max_held_out :]
    if len(held_out) < settings.min_held_out:
        return Wait(f"{len(held_out)} held-out windows since the change, {settings.min_held_out} are needed")
    oldest_judge = held_out[0]
    pool = memory.labelled(
        lambda kept: settings.hold_out.in_training(kept.id) or kept.id < oldest_judge - settings.hold_out.gap
    )
    recent, older = pool[-settings.max_recent :], pool[: -settings.max_recent]
    replayed = replay(older, recent, settings, classes)
    train = replayed + recent
    seen = Counter(kept.label for kept in train)
    enough = sum(count >= settings.min_per_class for count in seen.values())
    if enough < settings.min_class_share * classes:
        return Wait(f"{enough} of {classes} classes have {settings.min_per_class} windows to train on")
    return Selection(tuple(kept.id for kept in train), tuple(held_out))


def replay(older: list[Kept], train: list[Kept], settings: PolicySettings, classes: int) -> list[Kept]:
    """Older windows to repeat, spread over all that there are: old skills stay, and rare classes are filled up."""
    have = Counter(kept.label for kept in train)
    per_class = (len(train) + min(settings.max_replay, len(older))) / classes
    chosen: list[Kept] = []
    for label in range(classes):
        found = [kept for kept in older if kept.label == label]
        wanted = min(max(round(per_class - have[label]), 0), len(found))
        chosen += [found[int((i + 0.5) * len(found) / wanted)] for i in range(wanted)]
    return sorted(chosen, key=lambda kept: kept.id)
