"""The wearable's clock told by this computer's: from what each message says of the time it was sent."""

from __future__ import annotations

from collections import deque

_REMEMBERED = 60
"""Messages: a minute of heartbeats, in which two quartz clocks drift apart by a few milliseconds at most."""


class DeviceClock:
    """A message is never early: of the offsets seen lately the smallest is the one with the least delay in it."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._offsets: deque[float] = deque(maxlen=remembered)

    def restart(self) -> None:
        """Another boot of the wearable: its clock began anew."""
        self._offsets.clear()

    def told(self, device_us: int, here_s: float) -> None:
        """A message that was sent at `device_us` has arrived at `here_s`."""
        self._offsets.append(here_s - device_us / 1e6)

    def here_s(self, device_us: int) -> float | None:
        """None before anything was told."""
        return min(self._offsets) + device_us / 1e6 if self._offsets else None
