"""Windows of many people as one training set: recordings with one person left out, or simulated people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device_agent.compiler.preprocessing import Preprocessing
from device_agent.sources.recording import Recording, check_same_layout, find_recordings, load_recording
from device_agent.sources.simulator import SimulatedPerson
from schemas.errors import UserError

_FLOOR_PERCENTILE = 5.0
"""Of an envelope's values: below this is the amplifier's noise, which the logarithm must not stretch."""


@dataclass(frozen=True)
class TrainingSet:
    """All windows of the training people, in the source's unit, with what a plan needs to know of them."""

    windows: npt.NDArray[np.float32]
    """[windows, channels, samples]"""
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    sampling_rate_hz: float
    people: tuple[str, ...]

    @property
    def samples(self) -> int:
        return int(self.windows.shape[2])

    def preprocessing(self) -> Preprocessing:
        """Each channel to mean 0 and deviation 1 over all windows; the logarithm first where the signal is an envelope.

        An envelope is never negative, and what changes from day to day (electrode contact, place on the muscle)
        multiplies it. Raises UserError for a channel that never changes: no model can be scaled by it.
        """
        floor = float(np.percentile(self.windows, _FLOOR_PERCENTILE)) if (self.windows >= 0).all() else None
        steps = Preprocessing(log_floor=floor or None)
        prepared = steps.apply(self.windows)
        mean = prepared.mean(axis=(0, 2), dtype=np.float64)
        deviation = prepared.std(axis=(0, 2), dtype=np.float64)
        if not (deviation > 0).all():
            flat = self.channels[int(np.flatnonzero(deviation <= 0)[0])]
            raise UserError(f"channel {flat!r} is constant in all recordings: leave it out or export them again")
        return replace(steps, offset=mean.astype(np.float32), gain=np.reciprocal(deviation).astype(np.float32))


def join(recordings: Sequence[Recording]) -> TrainingSet:
    """Recordings of one layout, one after the other. Raises UserError when layouts differ."""
    first = recordings[0]
    for recording in recordings[1:]:
        check_same_layout(first, recording, f"{recording.subject}_session{recording.session}.npz")
    return TrainingSet(
        windows=np.concatenate([recording.values for recording in recordings]),
        labels=np.concatenate([recording.labels for recording in recordings]),
        classes=first.classes,
        channels=first.channels,
        sampling_rate_hz=first.sampling_rate_hz,
        people=tuple(dict.fromkeys(recording.subject for recording in recordings)),
    )


def files_of_others(folder: Path, left_out: str) -> list[Path]:
    """The recordings of everybody but `left_out`, in a fixed order."""
    found = find_recordings(folder)
    if left_out not in found:
        raise UserError(f"{folder}: holds nobody named {left_out!r}: choose one of {', '.join(found)}")
    others = [path for subject, sessions in found.items() if subject != left_out for path in sessions.values()]
    if not others:
        raise UserError(f"{folder}: holds recordings of {left_out} only: pre-training needs at least one more person")
    return others


def load_others(folder: Path, left_out: str) -> TrainingSet:
    """Every session of everybody but `left_out`."""
    return join([load_recording(path) for path in files_of_others(folder, left_out)])


def simulate_people(seeds: Sequence[int], sessions: Sequence[int], trials: int) -> TrainingSet:
    """Simulated wearers of an EOG band, one for each seed."""
    return join([SimulatedPerson(seed).session(number, trials) for seed in seeds for number in sessions])
