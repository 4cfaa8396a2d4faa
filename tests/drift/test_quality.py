"""Sensor faults are told when they begin and when they have passed, and are never drift."""

from __future__ import annotations

from device_agent.drift.quality import SignalQuality
from device_agent.wearable.api import WindowReport
from schemas.fault import FaultKind


def report(window: int, flat: int = 0, saturated: int = 0) -> WindowReport:
    return WindowReport(window, 0, 0, (1.0, 0.0), 1.0, 0.0, 1, flat_channels=flat, saturated_channels=saturated)


def test_a_clean_window_is_good() -> None:
    assert SignalQuality(("a", "b")).check(report(0)) == (False, [])


def test_one_touch_of_the_converters_end_marks_the_window_and_wakes_nobody() -> None:
    quality = SignalQuality(("a", "b"))
    assert quality.check(report(0, saturated=0b01)) == (True, [])
    assert quality.check(report(1)) == (False, [])


def test_a_flat_channel_is_told_once_by_name_and_again_when_it_is_back() -> None:
    quality = SignalQuality(("a", "b"), persistence=3)
    told = [quality.check(report(w, flat=0b10))[1] for w in range(6)]
    assert [len(changes) for changes in told] == [0, 0, 1, 0, 0, 0]
    assert (told[2][0].kind, told[2][0].active, told[2][0].channels) == (FaultKind.FLAT_LINE, True, ("b",))
    back = [quality.check(report(w))[1] for w in range(6, 12)]
    assert [len(changes) for changes in back] == [0, 0, 1, 0, 0, 0]
    assert back[2][0].active is False
