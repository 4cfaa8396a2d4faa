"""When to fit, and with which windows. Pure: everything comes in as arguments."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from device_agent.adaptation.memory import Kept, RingMemory


@dataclass(frozen=True, slots=True)
class Diet:
    """Windows of one fit."""

    recent: int
    """The newest, each of them."""
    replayed: int
    """Older ones, drawn anew each time from all that are kept, so that classes balance."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The numbers were chosen on EMG of eight days, streamed in recorded order: grips in blocks, rests between."""

    min_new: int = 30
    """Labelled windows since the change, before the first fit."""
    min_wrong: int = 3
    """Of the newest `first.recent` of them: where less is wrong there is nothing to mend, and no fit could prove it."""
    first: Diet = Diet(40, 80)
    """While nothing of the episode serves: each fit starts from the weights before it."""
    more: int = 6
    """Newest windows that a first fit learns from besides, for each attempt in vain, as far as they have come since
    the change: where a few windows make nothing better, more of them may."""
    refine: Diet = Diet(16, 64)
    """Afterwards, from the weights that the fit before has left: a few steps each."""
    little: Diet = Diet(8, 40)
    """A cheaper refinement..."""
    few: int = 60
    """...while there are fewer labelled windows since the change than these: few labels carry a small change..."""
    grace: int = 60
    """...and so many windows after the alert: most of what was to be gained has been, and a later change has an alert
    of its own."""
    home_share: float = 0.9
    """Of what is replayed, from the session that was calibrated on: what the wearer began with is not forgotten."""
    min_per_class: int = 3
    min_class_share: float = 0.8
    """With what is replayed: a fit that has seen one or two classes forgets the others."""
    trial: int = 8
    """Windows that a first fit is compared on before the next one, which has learned from them, takes its place:
    what serves after the proof is renewed as often."""
    command_trial: int = 24
    """The same for a fit that an operator has asked for, and waits for."""
    control: int = 60
    """Older windows, not in the fit, on which what serves next must not be worse: what was learned is not unlearned,
    and labels that are wrong are found out by those from before."""
    every: int = 3
    """Windows from the beginning of a refinement to that of the next, or from the end of one trial to the next."""
    mend_only: bool = True
    """A refinement begins only when something has been wrong since the last one began."""
    attempts: int = 25
    """In a row, that change nothing: no more are made at this pace..."""
    patience: float = 1.25
    """...but each later than the last by this factor..."""
    longest_pause: int = 100
    """...up to so many windows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Windows of one run, by id."""

    train: tuple[int, ...]
    held_out: tuple[int, ...] = ()
    """Of calibration: they judge the fit. Otherwise the windows that are still to come do."""
    control: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now, and why, for a person to read."""

    reason: str


def cool_down_windows(settings: PolicySettings, failures: int) -> int:
    """Windows to let pass after an attempt; longer after each attempt in a row that was not committed."""
    late = min(max(failures - settings.attempts, 0), 100)
    return round(min(settings.every * settings.patience**late, settings.longest_pause))


def decide(
    memory: RingMemory,
    settings: PolicySettings,
    *,
    classes: int,
    since_window: int,
    woken_at: int = 0,
    newest_window: int,
    last_attempt_window: int | None,
    failures: int,
    home_until: int = 0,
    refining: bool = False,
    forced: bool = False,
) -> Selection | Wait:
    """May a fit begin, in an episode whose change began at `since_window`?

    The last alert came at `woken_at`. Windows before `home_until` are those of calibration. `forced` (an operator's
    command) skips the pauses, and asks for no new windows; what a fit needs stays needed.
    """
    if last_attempt_window is not None and not forced:
        left = last_attempt_window + cool_down_windows(settings, failures) - newest_window
        if left > 0:
            return Wait(f"cooling down: {left} more windows after the last attempt")
    if refining and not forced and settings.mend_only and last_attempt_window is not None:
        since = memory.labelled(lambda kept: kept.id > last_attempt_window)
        if all(kept.predicted == kept.label for kept in since):
            return Wait(f"nothing to mend: all of {len(since)} labelled windows since the last fit were right")
    if not refining and not forced:
        new = memory.labelled(lambda kept: kept.id >= since_window and not kept.trained)
        if len(new) < settings.min_new:
            return Wait(f"{len(new)} new labelled windows since the change, {settings.min_new} are needed")
        newest = new[-settings.first.recent :]
        wrong = sum(kept.predicted != kept.label for kept in newest)
        if wrong < settings.min_wrong:
            return Wait(f"nothing to mend: {wrong} of the newest {len(newest)} labelled windows were wrong")
        more = min(settings.more * failures, max(len(new) - settings.first.recent, 0))
        diet = Diet(settings.first.recent + more, settings.first.replayed)
    else:
        diet = settings.first
    if refining:
        new = memory.labelled(lambda kept: kept.id >= since_window)
        late = newest_window - woken_at > settings.grace
        diet = settings.little if (late or len(new) < settings.few) and not forced else settings.refine
    pool = memory.labelled()
    recent, older = pool[-diet.recent :], pool[: -diet.recent]
    draw = random.Random(newest_window)
    home = [kept for kept in older if kept.id < home_until]
    at_home = replay(home, recent, round(settings.home_share * diet.replayed), classes, draw)
    elsewhere = [kept for kept in older if kept.id >= home_until]
    repeated = at_home + replay(elsewhere, recent + at_home, diet.replayed - len(at_home), classes, draw)
    train = sorted(repeated + recent, key=lambda kept: kept.id)
    seen = Counter(kept.label for kept in train)
    enough = sum(count >= settings.min_per_class for count in seen.values())
    if enough < settings.min_class_share * classes:
        return Wait(f"{enough} of {classes} classes have {settings.min_per_class} windows to train on")
    chosen = {kept.id for kept in train}
    others = [kept.id for kept in older if kept.id not in chosen]
    control = draw.sample(others, min(settings.control, len(others)))
    return Selection(tuple(kept.id for kept in train), control=tuple(sorted(control)))


def replay(older: list[Kept], train: list[Kept], most: int, classes: int, draw: random.Random) -> list[Kept]:
    """Older windows to repeat, from all that are kept: old skills stay, and rare classes are filled up."""
    have = Counter(kept.label for kept in train)
    per_class = (len(train) + min(most, len(older))) / classes
    chosen: list[Kept] = []
    for label in range(classes):
        found = [kept for kept in older if kept.label == label]
        chosen += draw.sample(found, min(max(round(per_class - have[label]), 0), len(found)))
    return chosen
