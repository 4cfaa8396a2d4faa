"""The supervisor's alert about a device, for people and for other systems."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from schemas.base import Document, Name


class AlertRule(StrEnum):
    """What an alert is about: each has a rule of its own for when it is raised and resolved."""

    DRIFT = "drift"
    ADAPTATION_FAILED = "adaptation_failed"
    ADAPTATION_ROLLED_BACK = "adaptation_rolled_back"
    SENSOR_FAULT = "sensor_fault"
    DEVICE_SILENT = "device_silent"
    LOW_BATTERY = "low_battery"
    MESSAGES_MISSING = "messages_missing"
    ROLLOUT_STOPPED = "rollout_stopped"
    TRUST_REFUSED = "trust_refused"
    KEYS_LOST = "keys_lost"
    KEYS_MISSING = "keys_missing"


class Severity(StrEnum):
    """`critical` wants somebody now, `warning` today, `info` never by itself."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Every alert is `open`, may be `acknowledged` by a person, and is `resolved` when its cause has passed."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Alert(Document):
    """Handed to every alert hook, and published on the device's `alert` topic at every change of its state."""

    SCHEMA: ClassVar[str] = "biotrain.alert/1"

    alert_id: Name
    rule: AlertRule
    severity: Severity
    state: AlertState = AlertState.OPEN
    wearer: Name | None = None
    message: str = Field(max_length=500)
    boot: int = Field(ge=1, description="with `seq`: the message that raised it")
    seq: int = Field(ge=0)
    window: int | None = Field(default=None, ge=0)
