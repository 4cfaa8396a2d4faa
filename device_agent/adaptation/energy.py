"""What fine-tuning may take from the battery in a day, by the plan's own model of the device."""

from __future__ import annotations

_DAY_S = 86_400.0


class EnergyBudget:
    """Charged when a fit begins, with all that it may take; begins anew with each day of the stream's clock."""

    def __init__(self, mj_per_day: float | None, day: int = 0, spent_mj: float = 0.0) -> None:
        """`mj_per_day` None: no limit. `day` and `spent_mj` as they were before a restart."""
        if mj_per_day is not None and not mj_per_day >= 0:
            raise ValueError(f"an energy budget of {mj_per_day} mJ a day: expected 0 or more")
        self.mj_per_day, self.day, self.spent_mj = mj_per_day, day, spent_mj

    def allows(self, cost_mj: float, now_s: float) -> bool:
        self._turn(now_s)
        return self.mj_per_day is None or self.spent_mj + cost_mj <= self.mj_per_day

    def charge(self, cost_mj: float, now_s: float) -> None:
        self._turn(now_s)
        self.spent_mj += cost_mj

    def _turn(self, now_s: float) -> None:
        """A clock that is set back gives nothing back: the budget is new only when a later day begins."""
        day = int(now_s // _DAY_S)
        if day > self.day:
            self.day, self.spent_mj = day, 0.0
