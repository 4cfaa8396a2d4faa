"""How a roll-out goes on, what stops it, and which devices come first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import ceil

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.base import Name


class RolloutSettings(BaseModel):
    """How a roll-out goes on, and what stops it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shares: tuple[float, ...] = Field(
        default=(0.05, 0.25, 1.0), min_length=1, max_length=20, description="of the devices that have it at each stage"
    )
    canaries: tuple[Name, ...] = Field(default=(), max_length=1000, description="devices of the first stage by name")
    hold_s: float = Field(default=3600.0, ge=0, le=2_592_000, description="a stage lasts so long at least")
    min_labelled: int = Field(
        default=300, ge=1, description="labelled windows under the new plan, before the next stage begins"
    )
    margin: float = Field(default=0.02, ge=0, lt=1, description="of accuracy: a smaller loss is no reason to stop")
    risk: float = Field(default=0.05, gt=0, lt=0.5, description="that a plan which costs no more than that is stopped")
    before_s: float = Field(default=86_400.0, ge=1, le=2_592_000, description="how far back `before` goes")
    settle_s: float = Field(default=120.0, ge=0, le=86_400, description="after the change, not counted")
    answer_s: float = Field(default=3600.0, ge=1, le=2_592_000, description="a device that has not answered is away")
    most_failed: float = Field(default=0.1, ge=0, le=1, description="share of devices that may fail to take it")

    @field_validator("shares")
    @classmethod
    def _grow(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if list(shares) != sorted(set(shares)) or not shares[0] > 0 or shares[-1] != 1.0:
            raise ValueError("shares grow, from above 0 to 1")
        return shares


def stages_of(members: Sequence[str], settings: RolloutSettings, seed: str) -> dict[str, int]:
    """Named canaries first, the others in an order that nobody has chosen; each stage has one device more at least."""

    def order(name: str) -> tuple[bool, str]:
        return name not in settings.canaries, hashlib.sha256(f"{seed} {name}".encode()).hexdigest()

    stages: dict[str, int] = {}
    ordered, reached = sorted(members, key=order), 0
    for stage, share in enumerate(settings.shares):
        upto = max(reached + 1, ceil(share * len(ordered) - 1e-9), len(settings.canaries) if stage == 0 else 0)
        for name in ordered[reached:upto]:
            stages[name] = stage
        reached = min(upto, len(ordered))
    return stages
