"""An episode: from the first alert, over as many fits as it takes. It rests while the model is right.

One fit after the other learns from what has just come. Whether that is good is asked of the whole course and not of
each fit, which would see far too few windows: on every window that the course has not learned from yet, it is compared
with the weights from before the episode. Nothing serves before the course is proven better; once it has been, further
fits *refine* it for as long as what was won is not lost again; a later alert wakes it. Should the weights from before
be proven better, they come back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from device_agent.adaptation.evidence import Bet
from schemas.adaptation import Guard, Trigger

TEST = "betting-e-value"
_CALM = 80
"""Labelled windows over which the error must be back at its reference."""
_TOLERANCE = 0.0


@dataclass
class Tally:
    """Of the windows on which course and old weights were compared."""

    windows: int = 0
    before: int = 0
    course: int = 0


class Episode:
    """`open` until `close`. What it knows survives a restart of the agent."""

    def __init__(self, risk: float) -> None:
        self._risk = risk
        self.close()

    def begin(self, since_window: int, now: int, why: Trigger = Trigger.DRIFT) -> None:
        """`now`: the newest window."""
        self.close()
        self.open, self.since_window, self.why, self.woken_at = True, since_window, why, now

    def close(self) -> None:
        self.open, self.since_window, self.woken_at = False, 0, 0
        self.why = Trigger.DRIFT
        """What opened it: an alert, a command, or a calibration that had too little to prove anything with."""
        self.resting = False
        """Its weights serve, and are left alone until the next alert."""
        self.committed = False
        """Weights of this episode serve; roll back leads to those before it."""
        self.judged_until = -1
        """The newest window that was compared."""
        self.better, self.worse = Bet(self._risk), Bet(self._risk)
        self.tally = Tally()
        self._errors: deque[bool] = deque(maxlen=_CALM)

    def serve(self, newest_window: int) -> None:
        """Its first weights have been committed; windows up to `newest_window` have been predicted by others."""
        self.committed, self.judged_until = True, newest_window

    def rest(self) -> None:
        self.resting = True
        self._errors.clear()

    def wake(self, since_window: int, now: int) -> None:
        """A later alert, at window `now`."""
        self.resting, self.since_window, self.woken_at = False, since_window, now
        self._errors.clear()

    def compare(self, window: int, course_right: bool, before_right: bool) -> None:
        """A window that the course has predicted before it learned from it, and that those before never saw."""
        self.judged_until = max(self.judged_until, window)
        self.better.add(course_right, before_right)
        self.worse.add(before_right, course_right)
        self.tally.windows += 1
        self.tally.course += course_right
        self.tally.before += before_right

    def served(self, error: bool) -> None:
        """A labelled window that the episode's own weights have predicted."""
        if self.committed:
            self._errors.append(error)

    @property
    def recent_error(self) -> float | None:
        """Of the newest windows that its weights have served; None before there are enough."""
        return sum(self._errors) / _CALM if len(self._errors) == _CALM else None

    def recovered(self, reference_error: float | None) -> bool:
        """Right as often as it was before the drift; where nobody knows that, served for a while."""
        recent = self.recent_error
        return recent is not None and (reference_error is None or recent <= reference_error + _TOLERANCE)

    def guard(self) -> Guard:
        return Guard(
            held_out=self.tally.windows,
            before_correct=self.tally.before,
            after_correct=self.tally.course,
            p_value=self.better.p_value,
            risk=self._risk,
            test=TEST,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "open": self.open,
            "resting": self.resting,
            "since_window": self.since_window,
            "woken_at": self.woken_at,
            "why": str(self.why),
            "committed": self.committed,
            "judged_until": self.judged_until,
            "better": self.better.snapshot(),
            "worse": self.worse.snapshot(),
            "tally": [self.tally.windows, self.tally.before, self.tally.course],
            "errors": [int(error) for error in self._errors],
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.open, self.resting = snapshot["open"], snapshot["resting"]
        self.since_window, self.why = snapshot["since_window"], Trigger(snapshot.get("why", "drift"))
        self.woken_at = snapshot.get("woken_at", self.since_window)
        self.committed, self.judged_until = snapshot["committed"], snapshot["judged_until"]
        self.better.restore(snapshot["better"])
        self.worse.restore(snapshot["worse"])
        self.tally = Tally(*snapshot["tally"])
        self._errors = deque((bool(error) for error in snapshot["errors"]), maxlen=_CALM)
