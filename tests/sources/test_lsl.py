"""LSL streams of another process: windows sample for sample, lost samples and drift as they were put in."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_agent.sources.live import LiveOptions
from device_agent.sources.registry import SourceOptions, open_source
from device_agent.sources.simulator import CLASSES
from device_agent.sources.source import Start
from device_agent.sources.window import Window
from schemas.errors import UserError

pytest.importorskip("pylsl")
PLAYER = Path(__file__).with_name("lsl_player.py")


@contextlib.contextmanager
def playing(kind: str, seconds: float, speed: float, drift_ppm: float = 0, lost: str = "") -> Iterator[str]:
    name = f"biotrain-{secrets.token_hex(4)}"
    words = [sys.executable, str(PLAYER), name, kind, str(seconds), str(speed), str(drift_ppm), lost]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield name
    finally:
        process.kill()
        process.communicate()


def start(**changed: Any) -> Start:
    plan = {"channels": ("horizontal", "vertical"), "samples": 1000, "sampling_rate_hz": 500.0, "classes": CLASSES}
    info = SimpleNamespace(**{**plan, **changed})

    async def wearable() -> Any:
        return SimpleNamespace(info=info)

    return Start(wearable=wearable, wearable_lost=lambda wearable: None, capacity=1000)


async def first(source: Any, count: int, timeout_s: float = 30.0) -> list[Any]:
    items: list[Any] = []
    async with asyncio.timeout(timeout_s):
        async for item in source:
            items.append(item)
            if len(items) == count:
                break
    return items


@pytest.mark.slow
async def test_windows_at_markers_are_the_samples_that_were_sent() -> None:
    with playing("ramp", 40, speed=15) as name:
        material = open_source("lsl", SourceOptions(stream=name, markers=f"{name}-markers"))
        async with material.open(start()) as source:
            windows = await first(source, 9)
    assert [window.id for window in windows] == list(range(9))
    assert {window.label for window in windows} == {CLASSES.index("left")}
    for window in windows:
        # the marker stands at a multiple of 500 samples: the ramp begins anew within the window, at its place
        up = np.rint(window.values[0]).astype(int)
        assert up[0] in (0, 500), up[0]
        np.testing.assert_array_equal(up, (up[0] + np.arange(1000)) % 1000)
        np.testing.assert_array_equal(up, -np.rint(window.values[1]))


@pytest.mark.slow
async def test_lost_samples_and_drift_are_reported_as_they_were_put_in() -> None:
    with playing("ramp", 60, speed=15, drift_ppm=300, lost="5200:1,12100:40") as name:
        options = SourceOptions(stream=name, markers=f"{name}-markers", live=LiveOptions(hop_s=2.0))
        async with open_source("lsl", options).open(start()) as source:
            items = await first(source, 40)
            health = source.health
    windows = [item for item in items if isinstance(item, Window)]
    missing = set(range(max(window.id for window in windows))) - {window.id for window in windows}
    assert missing == {5, 12}, "windows 5 (samples 5000 to 5999) and 12 have a hole"
    assert source.lost == 2
    assert health is not None
    assert health.lost_samples == 41
    assert health.drift_ppm is not None
    assert abs(health.drift_ppm - 300) < 30
    assert health.clock_offset_s is not None
    assert abs(health.clock_offset_s) < 0.01, "both processes run on this computer"
    for window in windows:
        up = np.rint(window.values[0]).astype(int)
        np.testing.assert_array_equal(up, np.arange(1000))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sampling_rate_hz": 250.0}, "has 500 Hz, the plan expects 250 Hz"),
        ({"channels": ("horizontal", "Fz")}, "has no channel 'Fz' .it has vertical, horizontal."),
    ],
)
async def test_a_stream_that_does_not_fit_the_plan_is_refused(changed: dict[str, Any], said: str) -> None:
    with playing("ramp", 10, speed=1) as name:
        source = open_source("lsl", SourceOptions(stream=name)).open(start(**changed))
        with pytest.raises(UserError, match=said):
            async with source:
                pass


async def test_a_stream_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from device_agent.sources.lsl import LslStream

    with pytest.raises(UserError, match="no LSL stream is named 'nobody'"):
        await LslStream("nobody", find_s=0.3).open(("a",), 500.0, CLASSES)
