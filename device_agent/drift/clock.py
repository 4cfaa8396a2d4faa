"""A clock that runs back, or stands still while windows are missing."""

from __future__ import annotations

from collections import deque

_USUAL = 64
"""Intervals whose median is the usual one."""
_FEWEST = 5
_LONG = 30.0
"""Times the usual interval: longer than a pause between blocks of trials."""


class ClockWatch:
    """Fed the time of each window; says in words what is wrong, or nothing."""

    def __init__(self) -> None:
        self._before_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=_USUAL)

    def check(self, time_s: float) -> str:
        before_s, self._before_s = self._before_s, time_s
        if before_s is None:
            return ""
        interval_s = time_s - before_s
        if interval_s < 0:
            return f"the clock went back by {-interval_s:.3f} s"
        usual_s = sorted(self._intervals)[len(self._intervals) // 2] if len(self._intervals) >= _FEWEST else None
        if usual_s is not None and interval_s > _LONG * usual_s:
            return f"no window for {interval_s:.3f} s, {interval_s / usual_s:.0f} times the usual interval"
        self._intervals.append(interval_s)
        return ""
