"""Predictions as an LSL stream: class, its probability, the weights' version, the window's number, a fault's flag."""

from __future__ import annotations

import time
from typing import Any

from device_agent.outlets.outlet import Outlet, TakeLabel, Told
from device_agent.sources.lsl import lsl

CHANNELS = ("class", "confidence", "weights_version", "window", "faulty")


class LslOutlet(Outlet):
    """Irregular rate; a sample's stamp is the end of its window. The classes' names stand in the description."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._outlet: Any = None
        self._clock: Any = None

    @property
    def address(self) -> str:
        return f"lsl:{self._name}"

    async def open(self, classes: tuple[str, ...], take_label: TakeLabel) -> None:
        pylsl = lsl()
        info = pylsl.StreamInfo(self._name, "Predictions", len(CHANNELS), 0.0, "double64", f"biotrain-{self._name}")
        description = info.desc()
        channels = description.append_child("channels")
        for channel in CHANNELS:
            channels.append_child("channel").append_child_value("label", channel)
        names = description.append_child("classes")
        for name in classes:
            names.append_child_value("class", name)
        self._outlet, self._clock = pylsl.StreamOutlet(info), pylsl.local_clock

    def tell(self, told: Told) -> None:
        values = [told.predicted, told.confidence, told.weights_version, told.window, told.faulty]
        self._outlet.push_sample([float(value) for value in values], self._clock() - (time.time() - told.ended_s))

    async def close(self) -> None:
        self._outlet = None
