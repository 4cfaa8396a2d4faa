"""When labels come: with their windows, late, or for some windows only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelTiming:
    """`share` of the windows ever get their label, `delay_s` seconds of signal time after they have ended."""

    delay_s: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.delay_s < 0 or not 0 <= self.share <= 1:
            raise ValueError(f"{self}: expected a delay of 0 s or more and a share from 0 to 1")

    @property
    def late(self) -> bool:
        return self.delay_s > 0

    def labelled(self, window: int) -> bool:
        """Fixed by the window's number, so that a restart changes nothing; not periodic, as blocks of trials are."""
        return self.share >= 1 or zlib.crc32(window.to_bytes(8, "little")) < self.share * 2**32
