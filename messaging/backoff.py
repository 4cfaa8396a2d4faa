"""How long to wait before the next connection attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first_s` to `longest_s`; takes a random part of it, so that a fleet does not knock in step."""

    first_s: float
    longest_s: float
    random: Callable[[], float]
    _failures: int = 0

    def next_delay(self) -> float:
        """Between half and all of the current step, seconds."""
        step = min(self.longest_s, self.first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return step * (0.5 + 0.5 * self.random())

    def reset(self) -> None:
        self._failures = 0
