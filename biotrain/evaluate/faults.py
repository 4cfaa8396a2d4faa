"""Sensor faults put into real recordings: scenarios, each with the name that it must be reported by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from device_agent.sources.recording import Recording
from device_agent.sources.window import Window
from schemas.fault import FaultKind

Counts = npt.NDArray[np.int16]
_LIMITS = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`spoil` changes the trials `first` to `last` (the last one excluded) of a session."""

    name: str
    expected: FaultKind
    spoil: Callable[[Recording, int, int, np.random.Generator], Recording]
    needs_hz: float = 0.0
    """Sampling rate from which the fault can be told from the signal."""
    needs_waveform: bool = False
    """Cannot be told from drift in an envelope."""


def _in_counts(
    change: Callable[[Counts, float, np.random.Generator], npt.NDArray[Any]],
) -> Callable[..., Recording]:
    """A fault of one channel, the one with index 1, as a change of its float64 counts [trials, samples]."""

    def spoil(recording: Recording, first: int, last: int, random: np.random.Generator) -> Recording:
        counts = recording.counts.copy()
        changed = change(counts[first:last, 1].astype(np.float64), recording.sampling_rate_hz, random)
        counts[first:last, 1] = np.clip(np.rint(changed), _LIMITS.min, _LIMITS.max).astype(np.int16)
        return replace(recording, counts=counts)

    return spoil


def _hum(hz: float) -> Callable[..., Recording]:
    def change(x: Counts, rate_hz: float, random: np.random.Generator) -> npt.NDArray[Any]:
        time_s = np.arange(x.shape[1]) / rate_hz
        return np.asarray(x + 3.0 * x.std() * np.sin(2 * np.pi * hz * time_s + random.uniform(0, 2 * np.pi)))

    return _in_counts(change)


def _pop(x: Counts, rate_hz: float, random: np.random.Generator) -> npt.NDArray[Any]:
    """A jump that decays within half a second, in every second trial."""
    out = x.astype(np.float64)
    for trial in range(0, len(out), 2):
        at = int(random.integers(x.shape[1] // 4, x.shape[1] // 2))
        decay = np.exp(-np.arange(x.shape[1] - at) / (0.15 * rate_hz))
        out[trial, at:] += 0.9 * _LIMITS.max * decay
    return out


def _loose(x: Counts, rate_hz: float, random: np.random.Generator) -> npt.NDArray[Any]:
    """Contact comes and goes: most of every window is the amplifier's own zero."""
    out = x.astype(np.float64)
    out[:, int(0.1 * x.shape[1]) :] = np.rint(out[:, :1])
    return out


def _swap(recording: Recording, first: int, last: int, random: np.random.Generator) -> Recording:
    counts = recording.counts.copy()
    counts[first:last, [0, -1]] = counts[first:last, [-1, 0]]
    return replace(recording, counts=counts)


SCENARIOS = (
    Scenario("flat line at zero", FaultKind.FLAT_LINE, _in_counts(lambda x, rate, random: 0.0 * x)),
    Scenario("flat line at the last value", FaultKind.FLAT_LINE, _in_counts(lambda x, r, g: 0.0 * x + x[0, 0])),
    Scenario("contact comes and goes", FaultKind.FLAT_LINE, _in_counts(_loose)),
    Scenario("saturated at the top", FaultKind.SATURATION, _in_counts(lambda x, r, g: x + 1.5 * _LIMITS.max)),
    Scenario("gain far too high", FaultKind.SATURATION, _in_counts(lambda x, r, g: 200.0 * (x + 1.0))),
    Scenario("mains hum, 50 Hz", FaultKind.MAINS_HUM, _hum(50.0), needs_hz=110.0),
    Scenario("mains hum, 60 Hz", FaultKind.MAINS_HUM, _hum(60.0), needs_hz=125.0),
    Scenario("electrode pops", FaultKind.ELECTRODE_POP, _in_counts(_pop)),
    Scenario(
        "electrode off: noise of its own", FaultKind.DISCONNECTED,
        _in_counts(lambda x, rate, random: random.normal(x.mean(), x.std(), x.shape)), needs_waveform=True,
    ),
    Scenario(
        "electrode off: loud wander", FaultKind.DISCONNECTED,
        _in_counts(lambda x, rate, random: x.mean() + 0.35 * _LIMITS.max * np.sin(
            np.linspace(0, 5.0, x.shape[1]) + random.uniform(0, 2 * np.pi, (len(x), 1))
        )),
        needs_waveform=True,
    ),
    Scenario("two electrodes swapped", FaultKind.SWAPPED_ELECTRODES, _swap, needs_waveform=True),
)  # fmt: skip


def with_headroom(recording: Recording, factor: int = 8) -> Recording:
    """The same signal from an amplifier with `factor` times the range: recordings whose largest value is the
    converter's end have no room for a fault."""
    counts = np.rint(recording.counts / factor).astype(np.int16)
    return replace(recording, counts=counts, scale=recording.scale * np.float32(factor))


def clock_goes_back(windows: list[Window], first: int, last: int) -> list[Window]:
    """An hour, at the first of these windows."""
    return [replace(w, time_s=w.time_s - 3600.0) if i >= first else w for i, w in enumerate(windows)]


def nothing_comes(windows: list[Window], first: int, last: int) -> list[Window]:
    """For two days, before the first of these windows."""
    return [replace(w, time_s=w.time_s + 172_800.0) if i >= first else w for i, w in enumerate(windows)]


CLOCK_SCENARIOS = (("the clock goes back", clock_goes_back), ("two days without a window", nothing_comes))
