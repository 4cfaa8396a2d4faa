"""BrainFlow's synthetic board: its samples, cut into windows."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_agent.sources.brainflow_board import BrainFlowStream
from device_agent.sources.live import LiveOptions, LiveSource
from device_agent.sources.registry import SourceOptions, open_source
from device_agent.sources.source import Start
from schemas.errors import UserError

pytest.importorskip("brainflow")


def start(**changed: Any) -> Start:
    plan = {"channels": ("Oz", "Fz"), "samples": 125, "sampling_rate_hz": 250.0, "classes": ("rest", "blink")}
    info = SimpleNamespace(**{**plan, **changed})

    async def wearable() -> Any:
        return SimpleNamespace(info=info)

    return Start(wearable=wearable, wearable_lost=lambda wearable: None, capacity=1000)


async def test_the_synthetic_boards_samples_come_without_a_hole_in_the_order_asked_for() -> None:
    options = SourceOptions(stream="synthetic", live=LiveOptions(hop_s=0.1))
    began_s = time.time()
    async with open_source("brainflow", options).open(start()) as source:
        windows = []
        async for item in source:
            windows.append(item)
            if len(windows) == 12:
                break
        health = source.health
    assert [window.id for window in windows] == list(range(12))
    assert health is not None
    assert (source.lost, health.lost_samples) == (0, 0)
    for before, after in itertools.pairwise(windows):
        # the same samples, 25 further on
        off = np.abs(before.values[:, 25:] - after.values[:, :-25]).max()
        assert off <= before.scale.max() + after.scale.max()
        assert abs(after.time_s - before.time_s - 0.1) < 0.05
    assert 0 <= windows[0].time_s - began_s < 10
    # Oz is its seventh channel, a sine of 35 Hz; Fz its first, of 5 Hz
    strongest = [np.abs(np.fft.rfft(row - row.mean()))[1:].argmax() + 1 for row in windows[6].values]
    assert strongest[0] > strongest[1]


async def test_its_markers_are_labels() -> None:
    stream = BrainFlowStream("synthetic")
    async with LiveSource(stream, LiveOptions(), start()) as source:
        await asyncio.sleep(0.3)
        stream.insert_marker(2)
        told_s = time.time()
        window = await anext(aiter(source))
    assert (window.id, window.label) == (0, 1)
    assert abs(window.time_s - 0.5 - told_s) < 0.25


@pytest.mark.parametrize(
    ("stream", "changed", "said"),
    [
        ("synthetic", {"sampling_rate_hz": 500.0}, "samples at 250 Hz, the plan expects 500 Hz"),
        ("synthetic", {"channels": ("Oz", "nose")}, "has Fz, C3, .*the plan's channels are Oz, nose"),
        ("toaster", {}, "knows no board 'toaster': choose one of .*synthetic"),
        ("cyton:/dev/nothing", {"channels": tuple("12345678")}, "board cyton cannot be opened"),
    ],
)
async def test_what_does_not_fit_is_refused(stream: str, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        async with open_source("brainflow", SourceOptions(stream=stream)).open(start(**changed)):
            pass
