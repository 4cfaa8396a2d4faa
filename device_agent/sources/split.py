"""Training part and test part of a session: whole repetitions, so that neighbours never stand on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from device_agent.sources.recording import Recording
from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.sources.dataset import Split

Indices = npt.NDArray[np.int64]


def split_session(recording: Recording, split: Split) -> tuple[Indices, Indices]:
    """Trials to train on and trials to test on, in recorded order.

    In each class, and in each value of the strata, the last repetitions test: `test_share` of them, rounded, at least
    one where there are two.
    """
    strata = [_field(recording, name) for name in split.strata]
    repetition = np.arange(len(recording)) if split.repetition is None else _field(recording, split.repetition)
    test = np.zeros(len(recording), bool)
    cells: dict[tuple[int, ...], dict[int, list[int]]] = {}
    for trial, label in enumerate(recording.labels):
        cell = (int(label), *(int(values[trial]) for values in strata))
        cells.setdefault(cell, {}).setdefault(int(repetition[trial]), []).append(trial)
    for repetitions in cells.values():
        whole = list(repetitions.values())  # in the order of their first trials
        count = max(round(split.test_share * len(whole)), 1) if len(whole) > 1 else 0
        for trials in whole[len(whole) - count :]:
            test[trials] = True
    if not test.any():
        raise UserError(
            f"{recording.subject} session {recording.session}: no class has two repetitions, so nothing is left to test"
        )
    return np.flatnonzero(~test), np.flatnonzero(test)


def _field(recording: Recording, name: str) -> npt.NDArray[np.int64]:
    if name not in recording.fields:
        have = ", ".join(sorted(recording.fields)) or "none"
        raise UserError(
            f"{recording.subject} session {recording.session}: the split names field {name!r}, trials have {have}"
        )
    return recording.fields[name]
