"""How good a row of predictions is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of one model on one row of windows."""

    windows: int
    accuracy: float
    balanced_accuracy: float
    """Mean of the classes' recalls; classes without a window do not count."""
    kappa: float
    """Cohen's: agreement beyond what the two marginals give by chance."""
    bits_per_minute: float
    """Information transfer rate, with one decision a window."""


def confusion(labels: Sequence[int], predicted: Sequence[int], classes: int) -> npt.NDArray[np.int64]:
    """[true class, predicted class] counts."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(labels, np.int64), np.asarray(predicted, np.int64)), 1)
    return matrix


def metrics(matrix: npt.NDArray[np.int64], window_s: float) -> Metrics:
    """Of a confusion matrix; a decision takes `window_s`."""
    windows = int(matrix.sum())
    if not windows:
        raise ValueError("there is no window to be measured by")
    accuracy = float(np.trace(matrix) / windows)
    present = matrix.sum(axis=1) > 0
    recalls = np.diag(matrix)[present] / matrix.sum(axis=1)[present]
    chance = float((matrix.sum(axis=1) / windows) @ (matrix.sum(axis=0) / windows))
    kappa = (accuracy - chance) / (1.0 - chance) if chance < 1.0 else 0.0
    bits = wolpaw_bits(accuracy, len(matrix))
    return Metrics(windows, accuracy, float(recalls.mean()), kappa, bits * 60.0 / window_s)


def wolpaw_bits(accuracy: float, classes: int) -> float:
    """Bits a decision (Wolpaw et al., IEEE Trans. Rehabil. Eng. 8:164, 2000); below chance counts as none.

    log2 N + P log2 P + (1 - P) log2((1 - P) / (N - 1)), errors spread evenly over the other classes.
    """
    if accuracy <= 1.0 / classes:
        return 0.0
    bits = math.log2(classes)
    if accuracy < 1.0:
        wrong = 1.0 - accuracy
        bits += accuracy * math.log2(accuracy) + wrong * math.log2(wrong / (classes - 1))
    return bits
