"""An oracle in the monitor's place: it knows where sessions begin, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from device_agent.drift.monitor import Drift, DriftMonitor
from device_agent.wearable.api import WindowReport
from schemas.drift import Evidence

AFTER = 60
"""Labelled windows of a new session that the oracle waits for."""


class OracleMonitor(DriftMonitor):
    """Claims drift once in each session, at its `AFTER`-th labelled window; since when, it knows exactly."""

    starts: Sequence[int] = ()
    """Windows with which sessions begin."""

    def observe(
        self, window: int, error: bool | None, entropy: float, report: WindowReport | None = None
    ) -> Drift | None:
        active, since = self.active, self.since_window
        super().observe(window, error, entropy, report)
        self.active, self.since_window = active, since
        start = next((s for s in self.starts if s + AFTER - 1 == window), None)
        if start is None:
            return None
        self.active, self.since_window = True, start
        known = Evidence(detector="oracle", watches="sessions", statistic=1.0, threshold=1.0, fired=True)
        return Drift(window, start, (known,), None, None, self.accuracy_since(start))
