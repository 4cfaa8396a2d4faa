"""What a device is doing now; retained, so that a newcomer sees it at once. Also the last will."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from schemas.base import Name, Payload, Sequenced


class DeviceState(StrEnum):
    """What an agent does now; `offline` is also its last will."""

    STARTING = "starting"
    CALIBRATING = "calibrating"
    ONLINE = "online"
    ADAPTING = "adapting"
    WEARABLE_LOST = "wearable_lost"
    FINISHED = "finished"
    OFFLINE = "offline"


class Tally(Payload):
    """Right among labelled windows."""

    labelled: int = Field(default=0, ge=0)
    correct: int = Field(default=0, ge=0)

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None


class Totals(Payload):
    """Counters since the agent first started on this stream, test-then-train."""

    windows: int = Field(default=0, ge=0)
    windows_dropped: int = Field(default=0, ge=0)
    before_drift: Tally = Field(default=Tally(), description="serving weights, windows before the first alert")
    adapted: Tally = Field(default=Tally(), description="serving weights, windows after the first commit")
    frozen: Tally = Field(default=Tally(), description="never-adapted copy, the same windows as `adapted`")
    drift_alerts: int = Field(default=0, ge=0)
    started: int = Field(default=0, ge=0)
    committed: int = Field(default=0, ge=0)
    rolled_back: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)


class State(Sequenced):
    """Published at every change of state; as last will with `seq` 0."""

    SCHEMA: ClassVar[str] = "biotrain.state/1"

    state: DeviceState
    detail: str = Field(default="", max_length=500)
    model: Name | None = None
    classes: list[str] = Field(default_factory=list)
    channels: list[str] = Field(default_factory=list, description="of the plan's windows")
    plan_hash: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    weights_version: int | None = Field(default=None, ge=0)
    totals: Totals | None = None
