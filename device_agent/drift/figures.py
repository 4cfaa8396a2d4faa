"""Quality figures of one window: plain numbers for each channel, from which faults are told. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MAINS_HZ = (50.0, 60.0)
_BESIDE_HZ = (2.0, 6.0)
"""Mains power is compared with the band this far on either side of it."""
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Figures:
    """Each [channels]."""

    flat: Floats
    """Share of the window in the longest stretch without any change."""
    railed: Floats
    """Share of samples that stand at the converter's end."""
    clipped: Floats
    """Samples in the longest stretch at the window's own highest or lowest value, when that lies far out."""
    level: Floats
    """Natural logarithm of the deviation, in the source's unit."""
    step: Floats
    """Natural logarithm of the largest change between samples over the sixth largest: how lonely the jump is."""
    jump: Floats
    """Natural logarithm of the largest change between samples, in the source's unit."""
    mains: Floats
    """Natural logarithm of the power density at 50 or 60 Hz over that beside it; 0 where the rate is too low."""
    bond: Floats
    """Largest absolute correlation with another channel; 1 with a single channel."""


def figures(counts: npt.NDArray[np.int16], scale: npt.NDArray[np.float32], sampling_rate_hz: float) -> Figures:
    """Of counts [channels, samples] and their scale [channels]."""
    x = counts.astype(np.float64)
    change = np.abs(np.diff(x, axis=1))
    deviation = x.std(axis=1)
    limits = np.iinfo(np.int16)
    return Figures(
        flat=_longest(change == 0) / max(x.shape[1] - 1, 1),
        railed=((counts <= limits.min) | (counts >= limits.max)).mean(axis=1),
        clipped=_clipped(x, deviation),
        level=np.log(deviation * scale + _TINY),
        step=_lonely(change),
        jump=np.log(change.max(axis=1) * scale + _TINY),
        mains=_mains(x, sampling_rate_hz),
        bond=_bond(x, deviation),
    )


def _longest(same: npt.NDArray[np.bool_]) -> Floats:
    """[channels]: the longest run of truth along each row."""
    count = np.arange(1, same.shape[1] + 1)
    since = np.maximum.accumulate(np.where(same, 0, count), axis=1)
    return np.asarray((count - since).max(axis=1), np.float64)


def _lonely(change: Floats) -> Floats:
    ordered = np.sort(change, axis=1)
    return np.asarray(np.log((ordered[:, -1] + 1.0) / (ordered[:, -min(6, ordered.shape[1])] + 1.0)))


def _clipped(x: Floats, deviation: Floats) -> Floats:
    middle = np.median(x, axis=1)
    found = np.zeros(len(x))
    for extreme in (x.max(axis=1), x.min(axis=1)):
        at = x == extreme[:, None]
        run = np.where(at.any(axis=1), _longest(at), 0)
        found = np.maximum(found, np.where(np.abs(extreme - middle) > 0.8 * deviation, run, 0))
    return found


def _mains(x: Floats, rate_hz: float) -> Floats:
    out = np.zeros(len(x))
    window = np.hanning(x.shape[1])
    power = np.abs(np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2
    hz = np.fft.rfftfreq(x.shape[1], 1.0 / rate_hz)
    for mains_hz in MAINS_HZ:
        away = np.abs(hz - mains_hz)
        at, beside = away <= 1.0, (away >= _BESIDE_HZ[0]) & (away <= _BESIDE_HZ[1])
        if mains_hz + 1.0 < rate_hz / 2 and at.any() and beside.any():
            ratio = np.log((power[:, at].mean(axis=1) + _TINY) / (power[:, beside].mean(axis=1) + _TINY))
            out = np.maximum(out, ratio)
    return out


def _bond(x: Floats, deviation: Floats) -> Floats:
    if len(x) < 2:
        return np.ones(len(x))
    z = (x - x.mean(axis=1, keepdims=True)) / (deviation[:, None] + _TINY)
    correlation = np.abs(z @ z.T / x.shape[1])
    np.fill_diagonal(correlation, 0.0)
    return np.asarray(correlation.max(axis=1))
