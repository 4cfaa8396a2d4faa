"""Streams to measure detectors by: what a tuned model said of each window, before and after a change of day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from biotrain.evaluate.settings import Tuning
from biotrain.files import write_whole
from device_agent.engine.engine import Engine
from device_agent.sources.dataset import Split
from device_agent.sources.recording import Recording
from device_agent.sources.split import split_session

if TYPE_CHECKING:
    from biotrain.evaluate.prepared import Prepared

OUT_OF_SAMPLE = 0.4
"""Share of a session's repetitions that the model has not been tuned on: half is the reference, half is streamed."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Said:
    """Of a row of windows, each field [windows] (features [windows, features])."""

    error: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    entropy: Floats
    margin: Floats
    confidence: Floats
    features: Floats

    def __len__(self) -> int:
        return len(self.error)

    def chosen(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Said:
        return Said(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def then(self, later: Said) -> Said:
        return Said(
            *(np.concatenate([getattr(self, name), getattr(later, name)]) for name in self.__dataclass_fields__)
        )


@dataclass(frozen=True)
class Trace:
    """A model tuned on one session: on windows of that session that it has not seen, and on the next day."""

    subject: str
    seed: int
    session: int
    reference: Said
    """What the monitor is calibrated with."""
    same_day: Said
    """Recorded order."""
    posture: npt.NDArray[np.int64]
    """Of `same_day`; zeros where the recording knows none."""
    next_day: Said | None

    @property
    def cost(self) -> float:
        """Points of accuracy that the change of day costs, of 1."""
        assert self.next_day is not None
        known = self.reference.then(self.same_day)
        return float(self.next_day.error.mean() - known.error.mean())


def ask(engine: Engine, recording: Recording) -> Said:
    """Every window of a recording, with the serving weights."""
    said = [engine.predict(counts, recording.scale) for counts in recording.counts]
    predicted = np.array([p.predicted for p in said], np.int64)
    return Said(
        error=predicted != recording.labels,
        predicted=predicted,
        label=recording.labels,
        entropy=np.array([p.entropy for p in said], np.float32),
        margin=np.array([p.margin for p in said], np.float32),
        confidence=np.array([p.probabilities.max() for p in said], np.float32),
        features=np.array([p.features for p in said], np.float32),
    )


def make_traces(prepared: Prepared, sessions: list[Recording], split: Split, tuning: Tuning, seed: int) -> list[Trace]:
    """One for each session, tuned on it from the model of other people, on the device's engine."""
    from biotrain.evaluate.tuned import OnDevice

    traces = []
    wider = split.model_copy(update={"test_share": OUT_OF_SAMPLE})
    for index, recording in enumerate(sessions):
        train, rest = split_session(recording, wider)
        model = OnDevice(prepared.plans["full"], prepared.values)
        try:
            model.tune(recording.chosen(train), tuning, seed * 1000 + recording.session)
            unseen = recording.chosen(rest)
            said = ask(model.engine, unseen)
            later = ask(model.engine, sessions[index + 1]) if index + 1 < len(sessions) else None
        finally:
            model.close()
        for_reference = np.zeros(len(rest), bool)
        for_reference[np.random.default_rng([seed, recording.session]).permutation(len(rest))[::2]] = True
        posture = unseen.fields.get("posture", np.zeros(len(rest), np.int64))
        traces.append(
            Trace(
                recording.subject, seed, recording.session,
                said.chosen(for_reference), said.chosen(~for_reference), posture[~for_reference], later,
            )
        )  # fmt: skip
    return traces


def save_traces(path: Path, traces: list[Trace]) -> None:
    """As one .npz file."""
    import io

    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for i, trace in enumerate(traces):
        arrays[f"{i}/who"] = np.array([trace.subject, str(trace.seed), str(trace.session)])
        arrays[f"{i}/posture"] = trace.posture
        for part in ("reference", "same_day", "next_day"):
            said = getattr(trace, part)
            for name in Said.__dataclass_fields__ if said is not None else ():
                arrays[f"{i}/{part}/{name}"] = getattr(said, name)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    write_whole(path, out.getvalue())


def load_traces(path: Path) -> list[Trace]:
    """Of a file that `save_traces` has written."""
    with np.load(path) as file:
        count = len({name.split("/")[0] for name in file.files})

        def said(i: int, part: str) -> Said | None:
            if f"{i}/{part}/error" not in file.files:
                return None
            return Said(*(file[f"{i}/{part}/{name}"] for name in Said.__dataclass_fields__))

        traces = []
        for i in range(count):
            subject, seed, session = (str(x) for x in file[f"{i}/who"])
            reference, same_day = said(i, "reference"), said(i, "same_day")
            assert reference is not None
            assert same_day is not None
            traces.append(
                Trace(subject, int(seed), int(session), reference, same_day, file[f"{i}/posture"], said(i, "next_day"))
            )
        return traces
