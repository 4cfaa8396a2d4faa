"""A live source for a minute:  python benchmarks/live_source.py [SOURCE STREAM SECONDS]

BrainFlow's synthetic board by default: windows that came, windows and samples that were lost.
"""

from __future__ import annotations

import asyncio
import sys
import time
from types import SimpleNamespace
from typing import Any

from device_agent.sources.live import LiveOptions
from device_agent.sources.registry import SourceOptions, open_source
from device_agent.sources.source import Start
from device_agent.sources.window import Window

PLAN = SimpleNamespace(samples=125, sampling_rate_hz=250.0, channels=("Oz", "Fz"), classes=("rest", "blink"))


async def wearable() -> Any:
    return SimpleNamespace(info=PLAN)


async def main(kind: str = "brainflow", stream: str = "synthetic", seconds: float = 60.0) -> None:
    material = open_source(kind, SourceOptions(stream=stream, live=LiveOptions(hop_s=0.1)))
    windows, began_s = 0, time.monotonic()
    async with material.open(Start(wearable=wearable, wearable_lost=lambda lost: None, capacity=1000)) as source:
        async for item in source:
            windows += isinstance(item, Window)
            if time.monotonic() - began_s > seconds:
                break
        health = source.health
        assert health is not None
        print(f"{windows} windows in {seconds:g} s; {source.lost} windows and {health.lost_samples} samples lost")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], *map(float, sys.argv[3:4])))
