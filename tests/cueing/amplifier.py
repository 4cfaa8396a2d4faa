"""A simulated wearer with an amplifier: the signal jumps to a class's level in the sample in which its cue is seen."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from device_agent.sources.live import Samples, SampleStream

RATE = 500.0
#: Blocks arrive so late: what was seen until then is known.
LATE_S = 0.5


class Amplifier(SampleStream):
    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = levels
        self._seen: list[tuple[float, int]] = [(0.0, 0)]
        self._given = 0
        self.began_s = 0.0
        self.ends_after_s: float | None = None
        self.stalls_after_s: float | None = None

    def sees(self, text: str, at_s: float) -> None:
        self._seen.append((at_s, self._levels.get(text, 0)))

    async def open(self, channels: tuple[str, ...], rate_hz: float, classes: tuple[str, ...]) -> None:
        self.began_s = time.time() - LATE_S

    async def read(self) -> list[Samples] | None:
        await asyncio.sleep(0.02)
        passed_s = time.time() - LATE_S - self.began_s
        if self.ends_after_s is not None and passed_s > self.ends_after_s:
            return None
        if self.stalls_after_s is not None and passed_s > self.stalls_after_s:
            return []
        last = int(passed_s * RATE)
        index = np.arange(self._given, last)
        if not len(index):
            return []
        self._given = last
        times = self.began_s + index / RATE
        changes = sorted(self._seen)
        which = np.searchsorted([at for at, _ in changes], times, side="right") - 1
        level = np.array([level for _, level in changes], float)[np.maximum(which, 0)]
        return [Samples(np.stack([level, index % 1000.0], axis=1), float(times[-1]))]

    async def close(self) -> None:
        return
