"""Labels that come late, or for some windows only: none is lost, none is told before its time."""

from __future__ import annotations

import asyncio

import pytest

from device_agent.sources.labels import LabelTiming
from device_agent.sources.simulator import SimulatedPerson
from device_agent.sources.source import LateLabel
from device_agent.sources.timeline import Timeline
from device_agent.sources.wall_clock import WallClockSource
from device_agent.sources.window import Window

TIMELINE = Timeline([SimulatedPerson(1).session(1, 40)], first_id=100)
TRUTH = {100 + k: TIMELINE.window(k, 0.0).label for k in range(40)}
#: A simulated trial lasts two seconds, with one second before the next.
PERIOD_S = 3.0


async def test_a_late_label_follows_its_window_by_its_delay() -> None:
    async with WallClockSource(TIMELINE, speed=300, labels=LabelTiming(delay_s=4.5 * PERIOD_S)) as source:
        items = [item async for item in source]
    windows = [item for item in items if isinstance(item, Window)]
    labels = [item for item in items if isinstance(item, LateLabel)]
    assert [window.label for window in windows] == [None] * 40
    assert {late.window_id: late.label for late in labels} == TRUTH
    assert [late.window_id for late in labels] == list(range(100, 140))
    behind = [
        sum(isinstance(item, Window) and item.id > late.window_id for item in items[: items.index(late)])
        for late in labels[:30]
    ]
    assert set(behind) == {4}, "four windows end in the time between"


async def test_only_some_windows_ever_get_a_label() -> None:
    async with WallClockSource(TIMELINE, speed=3000, capacity=40, labels=LabelTiming(share=0.3)) as source:
        at_once = {item.id: item.label async for item in source if isinstance(item, Window)}
    timing = LabelTiming(delay_s=1.0, share=0.3)
    async with WallClockSource(TIMELINE, speed=3000, capacity=40, labels=timing) as source:
        late = {item.window_id: item.label async for item in source if isinstance(item, LateLabel)}
    assert late == {window: label for window, label in at_once.items() if label is not None}
    assert 4 <= len(late) <= 20
    assert all(TRUTH[window] == label for window, label in late.items())


async def test_a_slow_reader_loses_windows_and_no_label() -> None:
    timing = LabelTiming(delay_s=PERIOD_S)
    async with WallClockSource(TIMELINE, speed=1200, capacity=4, labels=timing) as source:
        await asyncio.sleep(0.4)  # the stream is over
        items = [item async for item in source]
    assert sum(isinstance(item, Window) for item in items) == 4
    assert source.lost == 36
    assert {item.window_id for item in items if isinstance(item, LateLabel)} == set(TRUTH)


async def test_after_a_restart_labels_that_came_due_meanwhile_are_told() -> None:
    # the run before handled windows 100 to 109, whose labels come five windows later; 110 to 119 pass unseen
    now = [1000.0 + TIMELINE.end_s(19) / 10 + 0.01]
    source = WallClockSource(
        TIMELINE, speed=10, anchor_s=1000.0, after=109, labels=LabelTiming(5 * PERIOD_S), clock=lambda: now[0]
    )
    async with source:
        assert source.lost == 10
        now[0] += 1000
        first = [await anext(items) for items in [aiter(source)] for _ in range(6)]
    assert [item.window_id for item in first if isinstance(item, LateLabel)] == [105, 106, 107, 108, 109, 110]


@pytest.mark.parametrize(("delay_s", "share"), [(-1.0, 1.0), (0.0, 1.1), (0.0, -0.1)])
def test_impossible_timing_is_refused(delay_s: float, share: float) -> None:
    with pytest.raises(ValueError, match="expected a delay"):
        LabelTiming(delay_s, share)
