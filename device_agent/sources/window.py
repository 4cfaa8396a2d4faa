"""One window of a biosignal, as an ADC gives it: int16 counts and a scale for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Window:
    """`counts` int16 [channels, samples]; value = counts * scale[channel], in the source's unit."""

    id: int
    counts: npt.NDArray[np.int16]
    scale: npt.NDArray[np.float32]
    sampling_rate_hz: float
    time_s: float
    """End of the window, seconds since the epoch (the source's clock)."""
    label: int | None = None
    sample: int | None = None
    """Index of its first sample in a live stream, lost ones counted."""

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """float32 [channels, samples], in the source's unit."""
        return self.counts.astype(np.float32) * self.scale[:, None]
