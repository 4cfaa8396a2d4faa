"""Thresholds of Page-Hinkley that keep a stated rate of false alarms.

Of 0/1 errors the mean number of windows between false alarms is computed (D. Brook and D. A. Evans, "An approach to the
probability distribution of cusum run length", Biometrika 59, 1972: a Markov chain over the statistic's values). Of
other values it is simulated: the reference is drawn from again and again, in blocks, as neighbours are alike.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

EVERY = 4000.0
"""Windows between two false alarms, by default: half the rate that is promised, as the reference is an estimate."""
_CELLS = 160
_LOWEST, _HIGHEST, _STEP = 3.0, 12.0, 0.25
_BLOCK = 5
_STREAMS, _LENGTH = 400, 400


def mean_windows_between(rate: float, tolerance: float, threshold: float) -> float:
    """Windows until the statistic of errors that come at `rate`, with reference `rate`, is above `threshold`."""
    if not 0.0 < rate < 1.0 or threshold <= 0.0:
        raise ValueError(f"rate {rate}, threshold {threshold}: expected 0 to 1, and above 0")
    width = threshold / _CELLS
    at = (np.arange(_CELLS) + 0.5) * width
    at[0] = 0.0  # the statistic stands at exactly 0 much of the time
    moves = np.zeros((_CELLS, _CELLS))
    for step, share in ((1.0 - rate - tolerance, rate), (-rate - tolerance, 1.0 - rate)):
        to = np.maximum(at + step, 0.0)
        inside = np.flatnonzero(to <= threshold)
        moves[inside, np.minimum((to[inside] / width).astype(int), _CELLS - 1)] += share
    return float(np.linalg.solve(np.eye(_CELLS) - moves, np.ones(_CELLS))[0])


@lru_cache(maxsize=256)
def error_threshold(rate: float, tolerance: float, every: float = EVERY) -> float:
    """The lowest threshold with at least `every` windows between false alarms; between 3 and 12."""
    for threshold in np.arange(_LOWEST, _HIGHEST, _STEP):
        if mean_windows_between(rate, tolerance, float(threshold)) >= every:
            return float(threshold)
    return _HIGHEST


def value_threshold(reference: npt.NDArray[np.float64], tolerance: float, every: float = EVERY, seed: int = 0) -> float:
    """The same for standardised values, from streams drawn from the reference [values] in blocks.

    A share of `_LENGTH` / `every` of streams of that length may have an alarm.
    """
    random = np.random.default_rng(seed)
    block = min(_BLOCK, len(reference))
    starts = random.integers(0, len(reference) - block + 1, (_STREAMS, -(-_LENGTH // block)))
    streams = reference[(starts[:, :, None] + np.arange(block)).reshape(_STREAMS, -1)] - tolerance
    sums = np.cumsum(streams, axis=1)
    lowest = np.minimum(np.minimum.accumulate(sums, axis=1), 0.0)
    highest = (sums - lowest).max(axis=1)
    return max(float(np.quantile(highest, 1.0 - _LENGTH / every)), _LOWEST)
