"""The source keeps its own pace: a slow reader loses windows, and knows how many."""

from __future__ import annotations

import asyncio
import time

import pytest

from device_agent.sources.simulator import SimulatedPerson
from device_agent.sources.timeline import Timeline
from device_agent.sources.wall_clock import WallClockSource

TIMELINE = Timeline([SimulatedPerson(1).session(1, 40)], first_id=100)


async def test_windows_come_in_order_at_their_time() -> None:
    async with WallClockSource(TIMELINE, speed=300) as source:
        seen = [(window.id, time.time() - window.time_s) async for window in source]
    assert [window for window, _ in seen] == list(range(100, 140))
    assert source.lost == 0
    assert min(late for _, late in seen) >= -0.001, "no window before it is complete"
    assert sorted(late for _, late in seen)[len(seen) // 2] < 0.1


async def test_a_slow_reader_loses_the_oldest_windows_and_they_are_counted() -> None:
    async with WallClockSource(TIMELINE, speed=600, capacity=4) as source:
        seen = []
        async for window in source:
            seen.append(window.id)
            await asyncio.sleep(0.05)
    assert source.lost > 0
    assert len(seen) + source.lost == 40
    assert seen == sorted(seen)
    assert seen[-1] == 139


async def test_the_pace_does_not_depend_on_the_reader() -> None:
    async with WallClockSource(TIMELINE, speed=600, capacity=100) as source:
        began = time.time()
        await asyncio.sleep(0.35)  # nobody reads; the stream is over long before
        seen = [window async for window in source]
    assert len(seen) == 40
    assert time.time() - began < 1.5


async def test_after_a_restart_it_carries_on_and_counts_what_passed_meanwhile() -> None:
    now = [1000.0 + TIMELINE.end_s(19) / 10 + 0.01]  # windows 0 to 19 are over; the run before handled 0 to 9
    async with WallClockSource(TIMELINE, speed=10, anchor_s=1000.0, after=109, clock=lambda: now[0]) as source:
        assert source.lost == 10
        now[0] += 1000
        first = await anext(aiter(source))
    assert first.id == 120


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        WallClockSource(TIMELINE, speed=0)
