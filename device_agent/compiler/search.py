"""Chooses for each chain what to keep and what to compute again.

From the choices that compute nothing twice, single changes are made towards less memory, each time the one that frees
most for its multiply-accumulates. With a budget the first that fits is taken; without one, of all that were met the one
where another percent of memory is worth less than what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

from device_agent.compiler.ir import Storage
from device_agent.compiler.memory.problem import Problem
from device_agent.compiler.stream.choice import Choice

Choices = tuple[Choice, ...]
#: A percent of the training state is worth two percent of the forward pass.
WORTH = 0.5
#: Each try without a budget aims this much lower than the one before.
STEP = 0.01
#: Register tiles are this many channels high, and to fill them is worth so much more of the training state.
TILE, ROOM = 4, 1.065
#: So many that are no better in a row, and the search without a budget ends.
PATIENCE = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """A set of choices, tried out."""

    choices: Choices
    total_bytes: int
    """Training state with an arena as small as its largest live set."""
    macs: int
    """Of one training window, forward and backward."""
    problems: tuple[Problem[Storage], ...]
    """Of each program."""
    rest_bytes: int
    """Of the training state, besides the arena."""
    operations: tuple[tuple[str, ...], ...] = ()
    """Of each program, in order: kind and layer, for a message."""

    def excess(self, most: int) -> int:
        """How far, and for how long, the programs lie above a training state of `most` bytes."""
        return sum(_excess(problem, most - self.rest_bytes) for problem in self.problems)

    def above(self, most: int) -> frozenset[str]:
        """Names of what is live where the programs lie above `most`."""
        arena = most - self.rest_bytes
        return frozenset(
            buffer.name
            for problem in self.problems
            if problem.lower_bound() > arena
            for step in problem.steps_above(arena)
            for buffer in problem.buffers
            if buffer.start <= step < buffer.end
        )


def _excess(problem: Problem[Storage], most: int) -> int:
    changes: dict[int, int] = {}
    for buffer in problem.buffers:
        changes[buffer.start] = changes.get(buffer.start, 0) + buffer.bytes
        changes[buffer.end] = changes.get(buffer.end, 0) - buffer.bytes
    total, live, before = 0, 0, 0
    for step in sorted(changes):
        total += max(live - most, 0) * (step - before)
        live += changes[step]
        before = step
    return total


@dataclass(slots=True)
class Search:
    """What can be chosen for each chain, and how a choice is tried."""

    attempt: Callable[[Choices], Trial]
    options: Sequence[Sequence[Choice]]
    """For each chain."""
    rounds: Sequence[Sequence[int]]
    """Numbers of parts that each chain's channels can be taken in, ascending."""
    touches: Sequence[frozenset[str]]
    """Names of the values that a chain's choice can do something about."""
    forward_macs: int

    def __post_init__(self) -> None:
        known: dict[Choices, Trial] = {}
        plainly = self.attempt

        def attempt(choices: Choices) -> Trial:
            if choices not in known:
                known[choices] = plainly(choices)
            return known[choices]

        self.attempt = attempt

    def without_limit(self, start: Choices) -> Trial:
        """The best trade."""
        best = trial = self.attempt(start)
        since = 0
        while since < PATIENCE:
            smaller = self._below(trial, int(trial.total_bytes * (1 - STEP)))
            if smaller is None:
                break
            trial, since = smaller, since + 1
            if self._price(trial) < self._price(best):
                best, since = trial, 0
        while (finer := self._below(best, best.total_bytes - 1)) is not None and self._price(finer) < self._price(best):
            best = finer
        best = self._cheaper(best, best.total_bytes) if best.macs > self.attempt(start).macs else best
        return self._filled_tiles(self._fewer_rounds(best, best.total_bytes))

    def _price(self, trial: Trial) -> float:
        return log(trial.total_bytes) + WORTH * trial.macs / self.forward_macs

    def within(self, start: Choices, budget: int) -> tuple[Trial, bool]:
        """The cheapest found that fits, and true; or the smallest, and false."""
        trial = self.attempt(start)
        while trial.total_bytes > budget:
            smaller = self._below(trial, budget)
            if smaller is None:
                return self._smallest(trial), False
            trial = smaller
        return self._fewer_rounds(self._cheaper(trial, budget), budget), True

    def _smallest(self, trial: Trial) -> Trial:
        while (smaller := self._below(trial, trial.total_bytes - 1)) is not None:
            trial = smaller
        return trial

    def _below(self, trial: Trial, most: int) -> Trial | None:
        """By single changes, to `most` bytes at best; None when nothing gets nearer."""
        best: Trial | None = None
        excess = trial.excess(most)
        while excess:
            above = trial.above(most)
            near = [at for at, names in enumerate(self.touches) if names & above]
            changes = [other for other in self._neighbours(trial, near) if other.excess(most) < excess]
            if not changes:
                return None
            trial = max(changes, key=lambda other: _worth(other, trial.macs, excess, most))
            best, excess = trial, trial.excess(most)
        return best

    def _cheaper(self, trial: Trial, most: int) -> Trial:
        """Takes back what was not needed."""
        while True:
            cheaper = [
                t
                for t in self._neighbours(trial, range(len(self.options)))
                if t.macs < trial.macs and t.total_bytes <= most
            ]
            if not cheaper:
                return trial
            trial = min(cheaper, key=lambda other: (other.macs, other.total_bytes))

    def _neighbours(self, trial: Trial, chains: Sequence[int]) -> list[Trial]:
        return [
            self.attempt((*trial.choices[:at], option, *trial.choices[at + 1 :]))
            for at in chains
            for option in self.options[at]
            if option != trial.choices[at]
        ]

    def _fewer_rounds(self, trial: Trial, most: int) -> Trial:
        """More channels at a time, where there is room: more work for several cores and for wide registers."""
        for at, numbers in enumerate(self.rounds):
            for rounds in numbers:
                choice = trial.choices[at]
                if not 1 < rounds < choice.rounds:
                    continue
                changed = (*trial.choices[:at], replace(choice, rounds=rounds), *trial.choices[at + 1 :])
                other = self.attempt(changed)
                if other.total_bytes <= most and other.macs <= trial.macs:
                    trial = other
                    break
        return trial

    def _filled_tiles(self, trial: Trial) -> Trial:
        """Rounds of at least a tile's channels, where they are fewer and the room is there."""
        most = int(trial.total_bytes * ROOM)
        for at, numbers in enumerate(self.rounds):
            choice = trial.choices[at]
            enough = [n for n in numbers if numbers[-1] // n >= TILE and n < choice.rounds]
            if choice.rounds == 1 or numbers[-1] // choice.rounds >= TILE or not enough:
                continue
            changed = replace(choice, rounds=max(enough))
            other = self.attempt((*trial.choices[:at], changed, *trial.choices[at + 1 :]))
            if other.total_bytes <= most and other.macs <= trial.macs:
                trial = other
        return trial


def _worth(other: Trial, macs: int, excess: int, most: int) -> tuple[float, int]:
    """Excess taken away for each multiply-accumulate; a change that costs none is best."""
    return (excess - other.excess(most)) / (max(other.macs - macs, 0) + 1000), -other.total_bytes
