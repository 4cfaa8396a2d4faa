"""Periodic aggregates over windows. They are counts and means: no samples, ever."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.base import Payload, Sequenced
from schemas.fault import FaultKind


class Latency(Payload):
    """From the end of a window to its prediction, milliseconds."""

    p50_ms: float = Field(ge=0)
    p99_ms: float = Field(ge=0)
    max_ms: float = Field(ge=0)


class Telemetry(Sequenced):
    """What happened to the windows of one period."""

    SCHEMA: ClassVar[str] = "biotrain.telemetry/1"

    period_s: float = Field(gt=0, description="length of the period, wall clock")
    first_window: int = Field(ge=0, description="id of the first window of the period")
    last_window: int = Field(ge=0)
    windows: int = Field(ge=0, description="windows predicted in the period")
    windows_dropped: int = Field(ge=0, description="windows lost in the period because agent or link were late")
    windows_faulty: int = Field(default=0, ge=0, description="windows with a sensor fault")
    channel_faults: dict[str, dict[FaultKind, int]] = Field(
        default_factory=dict, description="windows by channel and what was wrong with it; only channels with a fault"
    )
    labelled: int = Field(ge=0, description="labels that became known in the period, of its windows or earlier ones")
    correct: int = Field(ge=0, description="labelled windows that the serving weights got right")
    frozen_correct: int | None = Field(
        default=None, ge=0, description="the same windows, by a copy of the model that never adapted, where one runs"
    )
    confidence_mean: float | None = Field(default=None, ge=0, le=1)
    entropy_mean: float | None = Field(default=None, ge=0, description="nats")
    error_rate: float | None = Field(default=None, ge=0, le=1, description="the drift monitor's smoothed error")
    drift_statistic: float | None = Field(default=None, description="the detector's statistic at the period's end")
    drift_threshold: float | None = None
    weights_version: int = Field(ge=0)
    latency: Latency | None = None
    predicted_classes: dict[str, int] = Field(default_factory=dict, description="predictions by class name")
