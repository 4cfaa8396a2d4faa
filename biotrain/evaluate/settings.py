"""What an evaluation is asked to do. The defaults are the BioTrain paper's protocol."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from biotrain.pretrain.settings import TrainingSettings

Study = Literal["day1", "longitudinal"]
EngineName = Literal["device", "torch"]
NONE = "none"
"""The mode that tunes nothing."""
MODES = (NONE, "last-layer", "full")
NARROW = ("bf16", "bf16-all")
"""Behind a mode and a hyphen: the device keeps activations for the backward pass in that form (`full-bf16`)."""


def in_parts(mode: str) -> tuple[str, str]:
    """What is tuned, and the form that activations are kept in: `full-bf16` -> full, bf16."""
    for form in NARROW:
        if mode.endswith(f"-{form}"):
            return mode.removesuffix(f"-{form}"), form
    return mode, "float32"


class Tuning(BaseModel):
    """One fine-tuning run: SGD, cosine schedule to zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1, le=900)
    batch_size: int = Field(default=8, ge=1, le=256)
    learning_rate: float = Field(default=5e-3, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-3, ge=0, lt=1)


class StudySettings(BaseModel):
    """Everything that a result depends on beside the recordings and the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: Study
    engine: EngineName = "device"
    training: TrainingSettings = TrainingSettings()
    tuning: Tuning = Tuning()
