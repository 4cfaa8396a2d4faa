"""Windows of many people as one training set: recordings with one person left out, or simulated people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from biotrain.pretrain.filters import average_reference, design
from device_agent.adaptation.alignment import align_groups
from device_agent.preprocessing.steps import Preprocessing
from device_agent.sources.dataset import Dataset, Steps
from device_agent.sources.recording import Recording, check_same_layout
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
    groups: npt.NDArray[np.int64]
    """[windows]: whose session a window is from, for what is learned of each by itself."""
    steps: Steps = field(default_factory=Steps)

    @property
    def samples(self) -> int:
        return int(self.windows.shape[2])

    def inputs(self, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
        """What a network is trained on: prepared, and aligned where the data set asks for it."""
        prepared = preprocessing.apply(self.windows)
        return align_groups(prepared, self.groups) if self.steps.alignment == "euclidean" else prepared

    def preprocessing(self) -> Preprocessing:
        """The data set's steps; channels to mean 0 and deviation 1 over all windows, after everything else.

        An envelope is never negative, and what changes from day to day (electrode contact, place on the muscle)
        multiplies it: its logarithm is taken. Raises UserError for a channel that never changes: no model can be
        scaled by it.
        """
        steps = self.steps
        sections = design(steps.filters, self.sampling_rate_hz) if steps.filters else None
        matrix = average_reference(len(self.channels)) if steps.reference == "average" else None
        envelope = steps.logarithm == "auto" and sections is None and matrix is None and bool((self.windows >= 0).all())
        floor = float(np.percentile(self.windows, _FLOOR_PERCENTILE)) if envelope else None
        fixed = Preprocessing(matrix=matrix, sections=sections, log_floor=floor or None, centre=steps.centre)
        if steps.scale == "none":
            return fixed
        prepared = fixed.apply(self.windows)
        mean = prepared.mean(axis=(0, 2), dtype=np.float64)
        deviation = prepared.std(axis=(0, 2), dtype=np.float64)
        if not (deviation > 0).all():
            flat = self.channels[int(np.flatnonzero(deviation <= 0)[0])]
            raise UserError(f"channel {flat!r} is constant in all recordings: leave it out or export them again")
        if steps.scale == "all":
            deviation[:] = np.sqrt(np.mean(deviation**2))
        return replace(fixed, offset=mean.astype(np.float32), gain=np.reciprocal(deviation).astype(np.float32))


def join(recordings: Sequence[Recording], steps: Steps = Steps()) -> TrainingSet:
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
        groups=np.repeat(np.arange(len(recordings)), [len(recording) for recording in recordings]),
        steps=steps,
    )


def people_but(dataset: Dataset, left_out: str) -> list[str]:
    """Everybody but `left_out`, in a fixed order. Raises UserError when that is nobody."""
    dataset.sessions(left_out)
    others = [subject for subject in dataset.subjects if subject != left_out]
    if not others:
        raise UserError(
            f"{dataset.place}: holds recordings of {left_out} only: pre-training needs at least one more person"
        )
    return others


def load_others(dataset: Dataset, left_out: str) -> TrainingSet:
    """Every session of everybody but `left_out`."""
    others = people_but(dataset, left_out)
    return join([r for subject in others for r in dataset.load_sessions(subject)], dataset.file.preprocessing)


def simulate_people(seeds: Sequence[int], sessions: Sequence[int], trials: int) -> TrainingSet:
    """Simulated wearers of an EOG band, one for each seed."""
    return join([SimulatedPerson(seed).session(number, trials) for seed in seeds for number in sessions])
