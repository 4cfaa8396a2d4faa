"""A model before it has seen anybody: module, preprocessing and signal that suit a training set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from biotrain.pretrain.people import TrainingSet
from biotrain.pretrain.settings import TrainingSettings
from device_agent.compiler.compile import CompiledPlan, Signal, compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.training_options import Activations, Mode
from device_agent.models import ModelSize, build_model
from device_agent.models.aligned import Aligned
from device_agent.models.norms import with_group_norm
from device_agent.preprocessing.steps import Preprocessing


@dataclass(frozen=True, slots=True)
class Blank:
    """`module` is trained in place; the plan does not depend on its values."""

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    signal: Signal
    norm: Norm

    def compile(self, mode: Mode = Mode.FULL, activations: Activations = Activations.FLOAT32) -> CompiledPlan:
        return compile_model(
            self.module,
            self.signal,
            name=self.name,
            norm=self.norm,
            mode=mode,
            preprocessing=self.preprocessing,
            activations=activations,
        )


def model_for(samples: int) -> str:
    """The EpiDeNet whose pools suit windows of this length."""
    return "epidenet" if samples >= 500 else "epidenet-short"


def blank_model(training_set: TrainingSet, settings: TrainingSettings) -> Blank:
    """Initialised from the settings' seed; scaled by the training people's windows."""
    signal = Signal(training_set.channels, training_set.samples, training_set.sampling_rate_hz, training_set.classes)
    name = settings.model or model_for(signal.samples)
    torch.manual_seed(settings.seed)
    size = ModelSize(len(signal.channels), signal.samples, len(signal.classes), signal.sampling_rate_hz)
    module = build_model(name, size)
    if settings.norm == "group":
        module = with_group_norm(module)
    if training_set.steps.alignment == "euclidean":
        module = Aligned(module, len(signal.channels))
    return Blank(name, module, training_set.preprocessing(), signal, Norm(settings.norm))
