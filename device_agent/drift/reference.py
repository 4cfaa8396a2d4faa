"""What is usual for this wearer and these electrodes: ranges of the quality figures, and how channels go together."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from device_agent.drift.figures import Figures

Floats = npt.NDArray[np.float64]
_RANGED = ("clipped", "level", "jump", "mains", "bond")
_RIDGE = 0.05
"""Added to a correlation matrix before it is inverted: channels next to each other are nearly the same."""


class Reference:
    """Learned window by window from a time that is trusted: calibration, or the first windows of a stream."""

    def __init__(self, channels: int) -> None:
        self.channels, self.windows = channels, 0
        self.signed = False
        """An envelope is never negative: in it a swap cannot be told from a change of place."""
        self.low = {name: np.full(channels, np.inf) for name in _RANGED}
        self.high = {name: np.full(channels, -np.inf) for name in _RANGED}
        self.step_mean, self.step_squares = np.zeros(channels), np.zeros(channels)
        self.together = np.zeros((channels, channels))
        """Mean correlation of the channels' changes."""

    def learn(self, seen: Figures, together: Floats, *, signed: bool) -> None:
        """One window without a fault: `seen` of each channel, `together` the correlation of their changes [channels,
        channels].
        """
        self.windows += 1
        self.signed |= signed
        for name in _RANGED:
            value = getattr(seen, name)
            self.low[name] = np.minimum(self.low[name], value)
            self.high[name] = np.maximum(self.high[name], value)
        before = seen.step - self.step_mean
        self.step_mean = self.step_mean + before / self.windows
        self.step_squares = self.step_squares + before * (seen.step - self.step_mean)
        self.together += (together - self.together) / self.windows

    @property
    def usual_step(self) -> Floats:
        """[channels]: mean and two deviations; one pop in the time of learning does not lift it much."""
        return np.asarray(self.step_mean + 2.0 * np.sqrt(self.step_squares / max(self.windows - 1, 1)))

    def snapshot(self) -> dict[str, Any]:
        """For the agent's state file."""
        return {
            "windows": self.windows,
            "signed": self.signed,
            "low": {name: list(map(float, values)) for name, values in self.low.items()},
            "high": {name: list(map(float, values)) for name, values in self.high.items()},
            "step_mean": self.step_mean.tolist(),
            "step_squares": self.step_squares.tolist(),
            "together": self.together.tolist(),
        }

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Reference:
        """What `snapshot` gave."""
        kept = cls(len(snapshot["together"]))
        kept.windows, kept.signed = int(snapshot["windows"]), bool(snapshot["signed"])
        kept.low = {name: np.asarray(values, np.float64) for name, values in snapshot["low"].items()}
        kept.high = {name: np.asarray(values, np.float64) for name, values in snapshot["high"].items()}
        kept.step_mean = np.asarray(snapshot["step_mean"], np.float64)
        kept.step_squares = np.asarray(snapshot["step_squares"], np.float64)
        kept.together = np.asarray(snapshot["together"], np.float64)
        return kept


def correlation_of_changes(counts: npt.NDArray[np.int16]) -> Floats:
    """[channels, channels]: of the differences between samples, which slow drifts and offsets leave alone."""
    change = np.diff(counts.astype(np.float64), axis=1)
    change -= change.mean(axis=1, keepdims=True)
    covariance = change @ change.T / change.shape[1] + 1e-6 * np.eye(len(change))
    deviation = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(deviation, deviation))


def best_swap(usual: Floats, seen: Floats) -> tuple[float, tuple[int, int]]:
    """How much better `seen` agrees with `usual` if two channels are exchanged, and which two.

    Agreement is the data term of a Gaussian's log-likelihood, tr(R^-1 C), for each channel; above 0 the exchange is
    the better explanation.
    """
    channels = len(usual)
    inverse = np.linalg.inv(usual + _RIDGE * np.eye(channels))
    as_it_is = float(np.sum(inverse * seen))
    best, pair = -np.inf, (0, 0)
    for a, b in combinations(range(channels), 2):
        order = np.arange(channels)
        order[[a, b]] = order[[b, a]]
        gain = (as_it_is - float(np.sum(inverse * seen[np.ix_(order, order)]))) / channels
        if gain > best:
            best, pair = gain, (a, b)
    return best, pair
