"""Everything about the agent that a person may choose, checked once, at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from device_agent.adaptation.occasion import Occasion
from schemas.base import Name


class FitSettings(BaseModel):
    """One fine-tuning run. The defaults are for the first fits after a change; rate, momentum and decay are the
    BioTrain paper's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1, le=1000)
    batch_size: int = Field(default=8, ge=1, le=256)
    learning_rate: float = Field(default=5e-3, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-3, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    timeout_s: float = Field(default=900.0, gt=0, description="a fit that has not ended by then is stopped")

    def steps(self, windows: int) -> int:
        """Optimiser steps of a fit on so many windows: a batch that is not full is a step as well."""
        return self.epochs * -(-windows // self.batch_size)

    def in_no_more_steps(self, windows: int, usual: int) -> FitSettings:
        """The same, with fewer epochs where there are more windows than usual; one epoch at least."""
        if windows <= usual:
            return self
        an_epoch = self.model_copy(update={"epochs": 1}).steps(windows)
        return self.model_copy(update={"epochs": max(self.steps(usual) // an_epoch, 1)})


class AgentSettings(BaseModel):
    """One agent beside one wearable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: Name = "home"
    device: Name = "wearable"
    wearer: Name | None = None
    groups: tuple[Name, ...] = Field(default=(), max_length=32, description="whose commands it obeys beside its own")
    wearable: str = "local"
    broker: str = "127.0.0.1"
    identity: Path | None = Field(default=None, description="folder with certificate and key; TLS when it is given")
    state_dir: Path = Path("agent-state")
    trusted_keys: Path | None = Field(
        default=None, description="the site's: only plans and weights signed with them go to the wearable"
    )
    plan: Path | None = None
    weights: Path | None = None

    source: str = "simulator"
    data: Path | None = None
    subject: str | None = None
    sessions: tuple[int, ...] | None = None
    calibrate_session: int | None = Field(default=None, ge=0)
    calibrate_windows: int | None = Field(default=None, ge=1)
    seed: int = Field(default=1, ge=0)
    trials: int = Field(default=220, ge=1, le=100_000)
    stream: str | None = Field(default=None, max_length=200, description="live sources: which stream or board")
    markers: str | None = Field(default=None, max_length=200, description="live sources: where labels come from")
    hop_s: float | None = Field(default=None, gt=0, description="live sources: sliding windows; None: at markers")
    start_s: float = Field(default=0.0, description="live sources: from a marker to its window")
    label_delay_s: float = Field(default=0.0, ge=0, description="signal time from a window's end to its label")
    label_share: float = Field(default=1.0, ge=0, le=1, description="of the windows, those that ever get a label")
    speed: float = Field(default=1.0, gt=0, le=1e6)
    queue_windows: int = Field(default=32, ge=1)

    predictions: tuple[str, ...] = Field(default=(), max_length=8, description="ws://HOST:PORT, lsl:NAME")
    record: Path | None = Field(default=None, description="FILE.edf, .bdf or SUBJECT_sessionN.npz: what was streamed")
    adapt: Literal["auto", "never"] = "auto"
    cool_down_s: float = Field(
        default=0.0, ge=0, le=86_400, description="pause after an adaptation, in seconds as well"
    )
    energy_mj_per_day: float | None = Field(
        default=20_000.0, ge=0, description="for fine-tuning, by the plan's model of the device; None: no limit"
    )
    detector: str = "page-hinkley"
    risk: float = Field(default=0.05, gt=0, lt=1)
    fit: FitSettings = FitSettings(learning_rate=1e-2)
    refine: FitSettings = Field(
        default=FitSettings(epochs=3, learning_rate=1e-2),
        description="from weights of the same episode",
    )
    calibration: FitSettings = Field(default=FitSettings(epochs=30), description="day 1: the BioTrain paper's protocol")
    occasion: Occasion = Field(default=Occasion(), description="charger, heat and hours that adaptations wait for")
    conditions: Path | None = Field(
        default=None, description='JSON file: {"battery": 0.8, "charging": true, "temperature_c": 31.5}'
    )
    compare_frozen: bool = False

    telemetry_period_s: float = Field(default=1.0, gt=0)
    health_period_s: float = Field(default=5.0, gt=0)
    resend_after_s: float = Field(default=10.0, gt=0)
    key_file: Path | None = Field(default=None, description="what is kept in state_dir is encrypted with it")
    outbox_quota_mb: float = Field(default=64.0, ge=1, description="telemetry is thinned above it; events never are")
    finish_timeout_s: float = Field(default=60.0, gt=0, description="for a running adaptation, then for the outbox")

    @model_validator(mode="after")
    def _plan_and_weights(self) -> AgentSettings:
        if self.weights is not None and self.plan is None and self.wearable == "local":
            raise ValueError("weights are given without their plan")
        return self
