"""One fine-tuning run on the wearable, from trigger to commit or rollback."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from schemas.base import Name, Payload, Sequenced


class Phase(StrEnum):
    """Every adaptation is `started`, may report `progress`, and ends in one of the last three."""

    STARTED = "started"
    PROGRESS = "progress"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


class Trigger(StrEnum):
    """What an adaptation was started by."""

    DRIFT = "drift"
    COMMAND = "command"
    CALIBRATION = "calibration"


class Guard(Payload):
    """The comparison on held-out windows that decides commit or rollback."""

    held_out: int = Field(ge=0, description="windows neither trained on nor next to one that was")
    before_correct: int = Field(ge=0, description="of them right with the serving weights")
    after_correct: int = Field(ge=0, description="of them right with the new weights")
    p_value: float = Field(ge=0, le=1)
    risk: float = Field(gt=0, lt=1, description="commit only if p_value <= risk")
    test: Name = Field(description="e.g. `mcnemar-midp-one-sided`")


class TrainingMemory(Payload):
    """Bytes on the device; the words are those of `biotrain plan --json`."""

    total_bytes: int = Field(ge=0, description="training state in L2 at its peak")
    resident_bytes: int = Field(ge=0, description="what lies in L2 besides")
    l2_bytes: int = Field(ge=0, description="L2 in use at the high-water mark, counted by the device")


class Adaptation(Sequenced):
    """Progress or outcome of one adaptation."""

    SCHEMA: ClassVar[str] = "biotrain.adaptation/1"

    adaptation_id: Name
    phase: Phase
    trigger: Trigger
    mode: Name = Field(default="full", description="`full`, `last-layer`, `norm-only`, `bias-only`")
    alert_id: Name | None = Field(default=None, description="the drift alert that asked for it")
    command_id: Name | None = Field(default=None, description="the command that asked for it")
    window: int = Field(ge=0, description="the newest window when this message was made")
    step: int = Field(default=0, ge=0)
    steps: int = Field(default=0, ge=0)
    epoch: int = Field(default=0, ge=0)
    loss: float | None = None
    train_windows: int = Field(default=0, ge=0)
    duration_s: float | None = Field(default=None, ge=0)
    guard: Guard | None = None
    memory: TrainingMemory | None = None
    energy_mj: float | None = Field(default=None, ge=0, description="of the fit, by the plan's model of the device")
    from_version: int = Field(ge=0)
    to_version: int | None = Field(default=None, ge=0)
    reason: str = Field(default="", max_length=500, description="why it ended as it did, for a person to read")
