"""A detector's claim that the data have changed for good."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Name, Payload, Sequenced


class Evidence(Payload):
    """One detector's contribution to an alert."""

    detector: Name = Field(description="e.g. `page-hinkley`")
    watches: Name = Field(description="what it is fed: `error`, `confidence`, `entropy`, `margin`, `features`")
    statistic: float
    threshold: float
    fired: bool
    since_window: int | None = Field(default=None, ge=0, description="where this detector thinks the change began")


class DriftAlert(Sequenced):
    """Raised once when the monitor's rule is met; not repeated until the monitor has been reset."""

    SCHEMA: ClassVar[str] = "biotrain.drift/1"

    alert_id: Name
    window: int = Field(ge=0, description="the window at which the rule was met")
    since_window: int = Field(ge=0, description="where the change is thought to have begun")
    evidence: list[Evidence] = Field(min_length=1)
    sureness: float | None = Field(
        default=None, ge=0, le=1, description="that so many errors since then are not the reference rate's chance"
    )
    accuracy_reference: float | None = Field(default=None, ge=0, le=1, description="before the change")
    accuracy_recent: float | None = Field(default=None, ge=0, le=1, description="since the change")
    weights_version: int = Field(ge=0)
