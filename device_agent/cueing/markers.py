"""Cues as an LSL stream of markers, stamped with the moment at which they could be seen."""

from __future__ import annotations

import time
from typing import Any

from device_agent.sources.lsl import lsl


class MarkerOutlet:
    """Other programs record it beside the signal. Raises UserError where LSL is missing."""

    def __init__(self, name: str) -> None:
        pylsl = lsl()
        info = pylsl.StreamInfo(name, "Markers", 1, 0.0, "string", f"biotrain-cues-{name}")
        self._outlet: Any = pylsl.StreamOutlet(info)
        self._clock = pylsl.local_clock

    def push(self, label: str, seen_s: float) -> None:
        self._outlet.push_sample([label], self._clock() - (time.time() - seen_s))
