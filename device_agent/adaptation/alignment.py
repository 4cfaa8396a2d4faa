"""Euclidean alignment: a new person's mean covariance is brought to the identity, as that of the training people was.

He and Wu, IEEE Trans. Biomed. Eng. 67 (2020). It needs no label: of every window the spatial covariance X Xᵀ / samples
is taken, and x -> R^(-1/2) x is applied to all windows of that person, R being the mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SHRINK = 0.01
"""Share of white noise that R is taken to hold: a dead channel must not be blown up without bound."""

Floats = npt.NDArray[np.float32]


class MeanCovariance:
    """Grows window by window; the order does not matter."""

    def __init__(self, channels: int) -> None:
        self._sum = np.zeros((channels, channels))
        self.windows = 0

    def add(self, window: npt.NDArray[np.floating]) -> None:
        """One window [channels, samples], as the network gets it. Raises ValueError for values that are not finite."""
        x = window.astype(np.float64)
        if not np.isfinite(x).all():
            raise ValueError("a window holds values that are not finite")
        self._sum += x @ x.T / x.shape[1]
        self.windows += 1

    def filters(self) -> Floats:
        """R^(-1/2), [channels, channels], symmetric. Raises ValueError before the first window."""
        if not self.windows:
            raise ValueError("no window has been seen: nothing is known of this person's covariance")
        mean = self._sum / self.windows
        channels = len(mean)
        power = np.trace(mean) / channels
        if power <= 0:
            raise ValueError("all windows are flat: there is no covariance to align")
        shrunk = (1 - _SHRINK) * mean + _SHRINK * power * np.eye(channels)
        values, vectors = np.linalg.eigh(shrunk)
        return np.asarray((vectors / np.sqrt(values)) @ vectors.T, np.float32)


def alignment_of(windows: Floats) -> Floats:
    """The filters of a person from windows [windows, channels, samples]."""
    known = MeanCovariance(windows.shape[1])
    for window in windows:
        known.add(window)
    return known.filters()


def align_groups(windows: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """Every group (a person's session) by a filter of its own; groups [windows]."""
    out = np.empty_like(windows)
    for group in np.unique(groups):
        chosen = groups == group
        out[chosen] = np.einsum("oc,wct->wot", alignment_of(windows[chosen]), windows[chosen])
    return out
