"""A person's starting point: the model of everybody else, with a plan for each mode of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from biotrain.evaluate.settings import NONE, in_parts
from biotrain.evaluate.tuned import Values, unpack_values
from biotrain.pretrain.blank import Blank, blank_model
from biotrain.pretrain.people import load_others
from biotrain.pretrain.run import OtherPeople, pretrain
from biotrain.pretrain.settings import TrainingSettings
from device_agent.compiler.training_options import Activations, Mode
from device_agent.sources.dataset import Dataset
from schemas.plan import read_plan
from schemas.weights import read_weights


@dataclass(frozen=True)
class Prepared:
    """The module is built anew from `blank` by whoever needs one."""

    blank: Blank
    plans: dict[str, bytes]
    """Mode -> plan."""
    values: Values


def prepare(
    dataset: Dataset, subject: str, seed: int, training: TrainingSettings, modes: Sequence[str], cache: Path
) -> Prepared:
    """Pre-trains on everybody but `subject`, or finds what was trained before."""
    settings = training.model_copy(update={"seed": seed})
    made = pretrain(OtherPeople(dataset, subject), settings, cache)
    values = unpack_values(made.plan, read_weights(made.weights, read_plan(made.plan).hash).values)
    blank = blank_model(load_others(dataset, subject), settings)
    plans = {}
    for mode in modes:
        tuned, form = in_parts(mode)
        if mode not in (NONE, Mode.FULL):
            plans[mode] = blank.compile(Mode(tuned), Activations(form)).file
    return Prepared(blank, {NONE: made.plan, str(Mode.FULL): made.plan, **plans}, values)
