"""The paper's two protocols (arXiv 2604.13359): what is tuned, on what, and tested on what."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol

from biotrain.evaluate.prepared import Prepared
from biotrain.evaluate.settings import NONE, EngineName, StudySettings
from biotrain.evaluate.tuned import InTorch, OnDevice, Tuned, Values
from device_agent.sources.dataset import Split
from device_agent.sources.recording import Recording
from device_agent.sources.split import split_session


@dataclass(frozen=True, slots=True)
class Tested:
    """Predictions of one session's test part."""

    session: int
    labels: list[int]
    predicted: list[int]


class MakeModel(Protocol):
    """Makes something that tunes in a mode, from these values on: the device's engine, or torch."""

    def __call__(self, mode: str, values: Values) -> Tuned: ...


def model_maker(prepared: Prepared, engine: EngineName) -> MakeModel:
    """Models of one person, from given weights, on the engine that was asked for."""

    def make(mode: str, values: Values) -> Tuned:
        if engine == "device":
            return OnDevice(prepared.plans[mode], values)
        module = copy.deepcopy(prepared.blank.module)
        return InTorch(prepared.plans[mode], values, module, prepared.blank.preprocessing)

    return make


@dataclass(frozen=True, slots=True)
class Start:
    """Where every mode of a person's run begins."""

    make: MakeModel
    values: Values
    """Of the model of other people."""
    settings: StudySettings
    split: Split
    seed: int

    def session(self, recording: Recording, mode: str, model: Tuned) -> Tested:
        """Tune on the first part, test on the last."""
        train, test = split_session(recording, self.split)
        if mode != NONE:
            model.tune(recording.chosen(train), self.settings.tuning, self.seed * 1000 + recording.session)
        tested = recording.chosen(test)
        return Tested(recording.session, [int(label) for label in tested.labels], model.predict(tested))


def day1(sessions: list[Recording], mode: str, start: Start) -> list[Tested]:
    """From the model of other people: tune on the first part of the first session, test on its last."""
    model = start.make(mode, start.values)
    try:
        return [start.session(sessions[0], mode, model)]
    finally:
        model.close()


def longitudinal(sessions: list[Recording], mode: str, start: Start) -> list[Tested]:
    """From the person's model, wholly tuned on session 1: in every later session tune on its first part, on top of
    what the sessions before have left, and test on its last part."""
    calibrated = start.make("full", start.values)
    try:
        start.session(sessions[0], "full", calibrated)
        model = start.make(mode, calibrated.values())
    finally:
        calibrated.close()
    try:
        return [start.session(session, mode, model) for session in sessions[1:]]
    finally:
        model.close()


PROTOCOLS = {"day1": day1, "longitudinal": longitudinal}
