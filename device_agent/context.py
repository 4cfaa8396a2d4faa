"""What the parts of one agent share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from device_agent.adaptation.energy import EnergyBudget
from device_agent.adaptation.episode import Episode
from device_agent.adaptation.memory import RingMemory
from device_agent.adaptation.policy import PolicySettings
from device_agent.conditions import ConditionsReader
from device_agent.drift.monitor import DriftMonitor
from device_agent.drift.quality import SignalQuality
from device_agent.drift.registry import error_detector
from device_agent.outbox import Draft
from device_agent.reporter import Reporter
from device_agent.settings import AgentSettings
from device_agent.sources.source import SourceHealth
from device_agent.state import AgentState
from device_agent.unlabelled import Unlabelled
from device_agent.waiting import Signal
from device_agent.wearable.api import WearableInfo, WearableStatistics
from schemas.fault import FaultKind
from schemas.plan_push import PlanStep
from schemas.state import DeviceState
from schemas.topics import Kind

_RING_BEFORE_CONNECTION = 512


class Context:
    """Settings, kept state, and the cores that the loop feeds. Made once, before anything is connected."""

    def __init__(self, settings: AgentSettings, state: AgentState, policy: PolicySettings = PolicySettings()) -> None:
        self.settings, self.state = settings, state
        self.policy = policy
        self.ring = RingMemory(_RING_BEFORE_CONNECTION)
        self.ring.restore(state.ring)
        self.monitor = self._new_monitor()
        if state.monitor is not None:
            self.monitor.restore(state.monitor)
        self.episode = Episode(settings.risk)
        if state.episode is not None:
            self.episode.restore(state.episode)
        self.energy = EnergyBudget(settings.energy_mj_per_day, state.energy_day, state.energy_mj)
        self.mj_per_window: float | None = None
        """Of one window trained on once, by the plan's own model; None where the plan does not say."""
        self.newest_s = 0.0
        """The end of the newest window, seconds since the epoch."""
        self.quality: SignalQuality | None = None
        self.unlabelled = Unlabelled()
        self.unlabelled.restore(state.unlabelled)
        self.changed = Signal()
        """Notified when the link, the adaptation in flight or the kept state has changed."""
        self.info: WearableInfo | None = None
        self.conditions = ConditionsReader(settings.conditions)
        self.statistics: WearableStatistics | None = None
        """As the heartbeat heard them last."""
        self.source_health: Callable[[], SourceHealth | None] = lambda: None
        self.trust = ""
        """What the wearable trusts: one of `keys.MODES`, "" where its firmware knows no keys."""
        self.refused = 0
        """Plans and weights that the agent itself did not let through, since it was started."""
        self.doing = DeviceState.STARTING
        self.stream_over = False
        """No more windows will come."""
        self.reporter: Reporter

    @property
    def newest_window(self) -> int:
        return self.state.last_window or 0

    def refresh(self, state: AgentState) -> None:
        """Bring the kept state up to date, just before it is written."""
        state.monitor, state.ring = self.monitor.snapshot(), self.ring.snapshot()
        state.unlabelled, state.episode = self.unlabelled.snapshot(), self.episode.snapshot()
        state.energy_day, state.energy_mj = self.energy.day, self.energy.spent_mj
        state.quality = self.quality.snapshot() if self.quality is not None else state.quality

    def signal_quality(self, channels: Sequence[str]) -> SignalQuality:
        """Of these channels, with what was learned of them before a restart."""
        if self.quality is None:
            self.quality = SignalQuality(channels)
            if self.state.quality is not None:
                self.quality.restore(self.state.quality)
        return self.quality

    def forget_model(self) -> None:
        """Another plan, or other weights: what was learned of the old ones' errors is worth nothing."""
        self.state.reference_error = None
        self.monitor = self._new_monitor()
        self.episode.close()
        self.ring.forget()
        self.mj_per_window = None
        self.state.alert_id = self.state.last_attempt_window = None
        self.state.failures = 0

    def _new_monitor(self) -> DriftMonitor:
        return DriftMonitor(
            lambda reference: error_detector(self.settings.detector, reference), self.state.reference_error
        )

    def resize_ring(self, capacity: int) -> None:
        if capacity != self.ring.capacity:
            kept = self.ring.snapshot()
            self.ring = RingMemory(capacity)
            self.ring.restore(kept)

    def state_draft(self, doing: DeviceState, detail: str = "", **more: Any) -> Draft:
        info = self.info
        fields: dict[str, Any] = {"state": doing, "detail": detail[:500], "totals": self.state.totals(), **more}
        changing = self.state.plan.open and self.state.plan.report.step is PlanStep.WRITING
        if info is not None and info.plan_hash and not changing:
            fields |= {
                "model": info.model or None,
                "classes": list(info.classes),
                "channels": list(info.channels),
                "plan_hash": info.plan_hash,
                "weights_version": self.state.device_version,
            }
        return Draft(Kind.STATE, fields)

    def fault_draft(self, kind: FaultKind, active: bool, *, channels: Sequence[str] = (), detail: str = "") -> Draft:
        fields = {
            "fault": kind,
            "active": active,
            "window": self.newest_window,
            "channels": list(channels),
            "detail": detail[:500],
        }
        return Draft(Kind.FAULT, fields)

    async def enter(self, doing: DeviceState, detail: str = "") -> None:
        """Publish a change of state; entering the state that is already there says nothing."""
        if doing is not self.doing or detail:
            self.doing = doing
            await self.reporter.put(self.state_draft(doing, detail))
