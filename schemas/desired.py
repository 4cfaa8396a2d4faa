"""What a device should be set to, and what it says that it is: both retained, both versioned.

A device that was away finds the newest version when it comes back, and answers with the version that it holds.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Document, Name, Payload
from schemas.plan_push import PlanReport, PlanWish


class DeviceSettings(Payload):
    """What an operator may set from afar. Null leaves the device's own setting."""

    paused: bool | None = Field(default=None, description="no adaptation begins by itself; one on command still does")
    risk: float | None = Field(
        default=None, gt=0, lt=0.5, description="stated risk of a commit that is worse; 0.05 where nothing is set"
    )
    cool_down_s: float | None = Field(default=None, ge=0, le=86_400, description="pause after an adaptation")


class Desired(Document):
    """Published retained by the supervisor; each change has a greater `version`."""

    SCHEMA: ClassVar[str] = "biotrain.desired/1"

    version: int = Field(ge=1)
    settings: DeviceSettings
    plan: PlanWish | None = Field(default=None, description="the plan it should run; null: whichever it does")


class Reported(Document):
    """Published retained by the device: the version that it has taken up, and what it could not do of it."""

    SCHEMA: ClassVar[str] = "biotrain.reported/1"

    version: int = Field(ge=0)
    settings: DeviceSettings
    refused: dict[str, str] = Field(default_factory=dict, description="setting and why it was not taken up")
    plan: PlanReport | None = None
    groups: list[Name] = Field(default_factory=list, max_length=64, description="whose commands it obeys")
