"""The heartbeat: is the device well, and how far has it counted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from schemas.base import Payload, Sequenced


class WearableHealth(Payload):
    """The wearable as the agent last heard of it."""

    connected: bool
    firmware: str = ""
    boot: int = Field(default=0, ge=0)
    uptime_s: float = Field(default=0, ge=0)
    weights_version: int = Field(default=0, ge=0)
    l2_peak_bytes: int = Field(default=0, ge=0)
    ring_windows: int = Field(default=0, ge=0, description="labelled windows kept for training")
    events_pending: int = Field(default=0, ge=0, description="events of its log that the agent has not acknowledged")
    frames_corrupt: int = Field(default=0, ge=0)
    trust: Literal["", "development", "signed", "lost"] = Field(
        default="",
        description="development: it has no keys and takes any plan; signed: only its site's; lost: keys damaged",
    )
    plans_refused: int = Field(default=0, ge=0, description="by the wearable since its boot, or by the agent itself")
    weights_refused: int = Field(default=0, ge=0)
    keys_refused: int = Field(default=0, ge=0)
    banks_refused: int = Field(default=0, ge=0, description="weights in its storage that are not its own")
    battery: float | None = Field(default=None, ge=0, le=1, description="charge of the battery, where it can tell")
    charging: bool | None = Field(default=None, description="on its charger, where it can tell")
    temperature_c: float | None = Field(default=None, ge=-100, le=200, description="its own, where it can tell")


class SignalSource(Payload):
    """A live source of windows: a board, or a stream in the network."""

    lost_samples: int = Field(ge=0)
    clock_offset_s: float | None = Field(default=None, description="of its clock from the agent's")
    drift_ppm: float | None = Field(default=None, description="by how much it runs faster than its nominal rate")


class Health(Sequenced):
    """Published every few seconds."""

    SCHEMA: ClassVar[str] = "biotrain.health/1"

    uptime_s: float = Field(ge=0)
    last_seq: int = Field(ge=0, description="the highest `seq` given out in this boot: shows a lost tail")
    outbox: int = Field(ge=0, description="messages that the supervisor has not yet acknowledged as stored")
    rss_bytes: int | None = Field(default=None, ge=0)
    wearable: WearableHealth
    source: SignalSource | None = Field(default=None, description="null where windows come from recordings")
