"""From numbers in a unit to what the wearable takes: int16 counts, and a scale for each channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 32_766
"""One below the converter's end: a count at the very end means saturation, and nothing here is saturated."""


def quantised(
    values: npt.NDArray[np.float64], finest: float = 0.0
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """`values` [channels, samples] -> counts [channels, samples], scale [channels]; value = counts * scale.

    Each channel's scale is as fine as its largest value allows, but never finer than `finest`: the error is at most
    half a scale.
    """
    peak = np.abs(values).max(axis=1, initial=0.0)
    scale = np.maximum(peak / MOST, finest).astype(np.float32)
    scale[scale == 0] = 1.0
    counts = np.clip(np.rint(values / scale[:, None]), -MOST, MOST)
    return counts.astype(np.int16), scale
