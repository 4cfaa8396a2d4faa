"""What the agent must not forget: kept in the outbox, in the transaction of every message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from device_agent.telemetry import Period
from schemas.adaptation import Guard, TrainingMemory, Trigger
from schemas.desired import DeviceSettings
from schemas.plan_push import PlanReport, PlanWish
from schemas.state import Tally, Totals

_HISTORY = 200
"""Changes that are remembered of a wearer."""


class Count(BaseModel):
    """Right among labelled windows, while it is being counted."""

    labelled: int = 0
    correct: int = 0

    def add(self, correct: bool) -> None:
        self.labelled += 1
        self.correct += correct

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.labelled if self.labelled else None

    def tally(self) -> Tally:
        return Tally(labelled=self.labelled, correct=self.correct)


class InFlight(BaseModel):
    """The one adaptation that may be running."""

    adaptation_id: str
    fit_id: int
    trigger: Trigger
    window: int
    from_version: int
    train: list[int]
    held_out: list[int]
    control: list[int] = Field(default_factory=list)
    day_one: bool = False
    """Calibration before the stream, which windows of its own judge."""
    verdict: Literal["judge", "count", "serve"] = "judge"
    """Of day one. judge: the held-out windows decide; count: they are asked, and the fit is dropped, being one of
    several parts; serve: it has been decided before."""
    outcomes: list[tuple[int, int, int]] = Field(default_factory=list)
    """Of held-out windows: label, and what the weights before and after say."""
    refine: bool = False
    """Carries on an episode whose weights serve already."""
    started_s: float
    alert_id: str | None = None
    command_id: str | None = None
    started: bool = False
    """Its `started` message is in the outbox."""
    decision: Literal["commit", "discard", "abandon"] | None = None
    """Kept before the wearable is told: whatever is cut short afterwards, the end can be named."""
    reason: str = ""
    guard: Guard | None = None
    memory: TrainingMemory | None = None
    energy_mj: float | None = None
    """Of its fit, by the plan's model of the device."""


class Change(BaseModel):
    """What became of a wearer's weights."""

    time: str
    """ISO 8601, UTC."""
    what: str
    from_version: int | None = None
    to_version: int | None = None


class WearerMemory(BaseModel):
    """What is normal for one person, and what became of their weights; outlives the stream."""

    reference_error: float | None = None
    history: list[Change] = Field(default_factory=list)


class Pushed(BaseModel):
    """A plan from the supervisor, and what it began with, by SHA-256 of the files."""

    plan: str
    weights: str | None = None


class Before(BaseModel):
    """What ran before the last push: SHA-256 of the files that the agent has kept of it."""

    plan: str
    weights: str | None = None
    pushed: Pushed | None = None

    @property
    def names(self) -> list[str | None]:
        return [self.plan, self.weights, *(() if self.pushed is None else (self.pushed.plan, self.pushed.weights))]


class PlanKept(BaseModel):
    """The newest wish for a plan, how far it has come, and what runs since; outlives the stream."""

    wish: PlanWish | None = None
    open: bool = False
    report: PlanReport = PlanReport()
    pushed: Pushed | None = None
    """None: the plan that the agent was started with, or the device came with."""
    over: str = ""
    """SHA-256 of the start's --plan at that time: another file there is newer than the push."""
    before: Before | None = None


class AgentState(BaseModel):
    """One stream's worth of memory."""

    stream: str = ""
    """Names source and options: another stream must not carry on with these counts."""
    wearer: str = ""
    wearers: dict[str, WearerMemory] = Field(default_factory=dict)
    """Of this stream's wearer it has the history; references are filed here when another stream begins."""
    calibrated: bool = False
    home_until: int = 0
    """The first window after those of calibration."""
    finished: bool = False
    anchor_s: float | None = None
    last_window: int | None = None
    """The newest window that was handled, of the whole stream."""
    device_version: int = 0

    windows: int = 0
    windows_dropped: int = 0
    before_drift: Count = Field(default_factory=Count)
    adapted: Count = Field(default_factory=Count)
    frozen: Count = Field(default_factory=Count)
    drift_alerts: int = 0
    started: int = 0
    committed: int = 0
    rolled_back: int = 0
    failed: int = 0
    period: Period = Field(default_factory=Period)

    alert_id: str | None = None
    """Of the drift that has not been answered by a commit."""
    last_attempt_window: int | None = None
    failures: int = 0
    """Attempts in a row that were not committed."""
    last_end_s: float | None = None
    """When the last adaptation ended, seconds since the epoch."""
    energy_day: int = 0
    energy_mj: float = 0.0
    """Spent on that day of the stream's clock."""
    next_fit: int = 1
    in_flight: InFlight | None = None
    open_commands: list[str] = Field(default_factory=list)
    """Accepted, and not yet answered for good."""

    reference_error: float | None = None
    entropy_reference: float | None = None
    monitor: dict[str, Any] | None = None
    quality: dict[str, Any] | None = None
    episode: dict[str, Any] | None = None
    ring: list[list[int]] = Field(default_factory=list)
    wearable_boot: int | None = None
    """The wearable's boot whose ring is meant."""
    unlabelled: list[list[int]] = Field(default_factory=list)
    """Of windows whose label has not come: id, predicted, by the frozen copy (-1: none), by adapted weights, faulty,
    weights' version."""
    training_memory: TrainingMemory | None = None
    desired: DeviceSettings = DeviceSettings()
    desired_version: int = 0
    """What an operator has set; outlives the stream."""
    plan: PlanKept = Field(default_factory=PlanKept)
    stored_before: int = 0
    """Messages that had been acknowledged when this stream began."""

    def memory_of(self, wearer: str) -> WearerMemory:
        """With what the running stream knows, for its own wearer."""
        filed = self.wearers.get(wearer, WearerMemory())
        if wearer != self.wearer:
            return filed
        if self.reference_error is None:
            return filed
        return filed.model_copy(update={"reference_error": self.reference_error})

    def with_memory(self, wearer: str, memory: WearerMemory | None) -> AgentState:
        """None: nothing of that wearer stays."""
        wearers = {name: kept for name, kept in self.wearers.items() if name != wearer}
        if memory is not None:
            return self.model_copy(update={"wearers": wearers | {wearer: memory}})
        if wearer != self.wearer:
            return self.model_copy(update={"wearers": wearers})
        # all that the stream knows is of that person; numbers go on, so that none is given out twice
        return AgentState(
            wearers=wearers, next_fit=self.next_fit, desired=self.desired, desired_version=self.desired_version,
            stored_before=self.stored_before, plan=self.plan,
        )  # fmt: skip

    def remember(self, what: str, from_version: int | None, to_version: int | None) -> None:
        memory = self.wearers.setdefault(self.wearer, WearerMemory())
        now = datetime.now(UTC).isoformat(timespec="seconds")
        memory.history.append(Change(time=now, what=what, from_version=from_version, to_version=to_version))
        del memory.history[:-_HISTORY]

    def totals(self) -> Totals:
        return Totals(
            windows=self.windows,
            windows_dropped=self.windows_dropped,
            before_drift=self.before_drift.tally(),
            adapted=self.adapted.tally(),
            frozen=self.frozen.tally(),
            drift_alerts=self.drift_alerts,
            started=self.started,
            committed=self.committed,
            rolled_back=self.rolled_back,
            failed=self.failed,
        )
