"""Is one course of weights better than another? A bet on every window on which they differ, open at any time.

Of the windows that only one of two models gets right, a fair coin decides which of the two it is when neither is
better. Whoever bets a share of what he has against that coin, on every such window, multiplies his stake by more
than 1 / risk with a chance of at most `risk`, however long he plays and whenever he stops (Ville's inequality;
Shafer, J. R. Statist. Soc. A 184, 2021; Waudby-Smith and Ramdas, J. R. Statist. Soc. B 86, 2024). Each prediction is
made before its model has learned from the window, so the models may change between two windows.
"""

from __future__ import annotations

import math
from typing import Any

_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Bet side by side: a clear difference is told by the bold ones, a small one by the careful."""
_EVENED = 0.03
"""Of all stakes, shared out anew after each bet: what is right changes with time."""
_KEPT_BACK = 0.3
"""Of what there is at the beginning, to bet with later: whoever has lost with poor models may still win with better
ones. A bet that begins later, with a share that was fixed before, is one of several side by side: the bound holds."""
_RELEASED = 0.01
"""Of what is kept back, with each bet."""
_MEMORY = 20.0
"""The stake is never counted as more than this times what proves something: what was proven long ago is forgotten."""


class Bet:
    """The stake of somebody who holds that the first model is better. Taking from a stake keeps the bound."""

    def __init__(self, risk: float) -> None:
        if not 0 < risk < 1:
            raise ValueError(f"risk is {risk}, expected above 0 and below 1")
        self._most = _MEMORY / risk
        self._risk = risk
        self.won = self.lost = 0
        self._kept_back = _KEPT_BACK
        self._stakes = [(1.0 - _KEPT_BACK) / len(_SHARES)] * len(_SHARES)

    @property
    def value(self) -> float:
        """The e-value: at most 1 on average when the first model is not better."""
        return math.fsum(self._stakes) + self._kept_back

    @property
    def p_value(self) -> float:
        """Valid whenever it is looked at."""
        return min(1.0, 1.0 / self.value) if self.value > 0 else 1.0

    @property
    def proven(self) -> bool:
        return self.p_value <= self._risk

    @property
    def standing(self) -> bool:
        """Not lost again what was won: as much is there as at the beginning."""
        return self.value >= 1.0

    def add(self, first_right: bool, second_right: bool) -> None:
        """One window that both models have predicted and neither has learned from."""
        if first_right == second_right:
            return
        sign = 1 if first_right else -1
        self.won, self.lost = self.won + first_right, self.lost + second_right
        released = _RELEASED * self._kept_back
        self._kept_back -= released
        joined = [stake + released / len(_SHARES) for stake in self._stakes]
        self._stakes = [stake * (1 + sign * share) for stake, share in zip(joined, _SHARES, strict=True)]
        at_play = math.fsum(self._stakes)
        scale, even = min(1.0, (self._most - self._kept_back) / at_play), _EVENED * at_play / len(_SHARES)
        self._stakes = [scale * ((1 - _EVENED) * stake + even) for stake in self._stakes]

    def snapshot(self) -> dict[str, Any]:
        return {"won": self.won, "lost": self.lost, "stakes": self._stakes, "kept_back": self._kept_back}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.won, self.lost, self._stakes = snapshot["won"], snapshot["lost"], list(snapshot["stakes"])
        self._kept_back = snapshot.get("kept_back", 0.0)
