"""A device's life as messages: calibration, good days, a change of the signal, an adaptation, recovery.

Seeded, so that counts are the same at every run; it stands in for an agent where a test needs many messages.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.adaptation import Adaptation, Guard, Phase, TrainingMemory, Trigger
from schemas.base import Sequenced
from schemas.command import Reply, ReplyStatus
from schemas.drift import DriftAlert, Evidence
from schemas.fault import Fault, FaultKind
from schemas.health import Health, WearableHealth
from schemas.state import DeviceState, State
from schemas.telemetry import Latency, Telemetry
from schemas.topics import DeviceTopic, Kind

KIND_OF: dict[type[Sequenced], Kind] = {
    State: Kind.STATE,
    Telemetry: Kind.TELEMETRY,
    DriftAlert: Kind.DRIFT,
    Adaptation: Kind.ADAPTATION,
    Fault: Kind.FAULT,
    Health: Kind.HEALTH,
    Reply: Kind.REPLY,
}
PER_PERIOD = 10
THRESHOLD = 12.0


@dataclass(frozen=True)
class Published:
    topic: str
    payload: bytes
    message: Sequenced
    retain: bool


def publish_form(message: Sequenced) -> Published:
    kind = KIND_OF[type(message)]
    topic = str(DeviceTopic(message.site, message.device, kind))
    return Published(topic, message.to_json(), message, retain=kind is Kind.STATE)


class Story:
    """Call its chapters, or `whole()` for all of them in order."""

    def __init__(
        self, site: str = "lab", device: str = "band-1", *, wearer: str = "U1", boot: int = 1, seed: int = 7
    ) -> None:
        self._random = random.Random(seed)
        self._names: dict[str, Any] = {"site": site, "device": device, "wearer": wearer, "boot": boot}
        self._seq = 0
        self._clock = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.window = 0
        self.version = 1
        self._statistic = 0.0

    def whole(self) -> Iterator[Published]:
        yield self.state(DeviceState.STARTING)
        yield self.state(DeviceState.ONLINE)
        yield from self.days(60, accuracy=0.91, frozen=0.91)
        yield from self.days(5, accuracy=0.5, frozen=0.5, drifting=True)
        yield self.drift()
        yield from self.adapt(committed=True)
        yield from self.days(50, accuracy=0.89, frozen=0.53)
        yield self.fault(active=True)
        yield from self.days(3, accuracy=0.8, frozen=0.5, faulty=4)
        yield self.fault(active=False)
        yield from self.adapt(committed=False)
        yield from self.days(30, accuracy=0.9, frozen=0.5)
        yield self.health(battery=0.62)

    def state(self, state: DeviceState) -> Published:
        return self._make(
            State,
            state=state,
            model="epidenet-2x1000",
            classes=["rest", "left", "right"],
            channels=["ch1", "ch2"],
            weights_version=self.version,
        )

    def days(
        self, periods: int, *, accuracy: float, frozen: float, drifting: bool = False, faulty: int = 0
    ) -> Iterator[Published]:
        for number in range(periods):
            yield self.telemetry(accuracy, frozen, drifting=drifting, faulty=faulty)
            if number % 10 == 9:
                yield self.health()

    def telemetry(self, accuracy: float, frozen: float, *, drifting: bool = False, faulty: int = 0) -> Published:
        labelled = PER_PERIOD - faulty
        correct = sum(self._random.random() < accuracy for _ in range(labelled))
        errors = labelled - correct
        self._statistic = max(0.0, self._statistic + errors - (1.2 if drifting else 1.3) * labelled / PER_PERIOD)
        if not drifting:
            self._statistic = min(self._statistic, 0.6 * THRESHOLD)
        first, self.window = self.window, self.window + PER_PERIOD
        self._clock += timedelta(seconds=20)
        return self._make(
            Telemetry,
            period_s=20,
            first_window=first,
            last_window=self.window - 1,
            windows=PER_PERIOD,
            windows_dropped=0,
            windows_faulty=faulty,
            channel_faults={"ch2": {FaultKind.FLAT_LINE: faulty}} if faulty else {},
            labelled=labelled,
            correct=correct,
            frozen_correct=sum(self._random.random() < frozen for _ in range(labelled)),
            error_rate=errors / labelled,
            drift_statistic=self._statistic,
            drift_threshold=THRESHOLD,
            weights_version=self.version,
            latency=Latency(p50_ms=3.1, p99_ms=6.0, max_ms=8.4),
        )

    def drift(self) -> Published:
        self._statistic = max(self._statistic, THRESHOLD + 0.5)
        return self._make(
            DriftAlert,
            alert_id=f"drift-{self._seq + 1}",
            window=self.window,
            since_window=max(0, self.window - 50),
            evidence=[
                Evidence(
                    detector="page-hinkley",
                    watches="error",
                    statistic=self._statistic,
                    threshold=THRESHOLD,
                    fired=True,
                )
            ],
            accuracy_reference=0.91,
            accuracy_recent=0.55,
            weights_version=self.version,
        )

    def adapt(self, *, committed: bool) -> Iterator[Published]:
        name = f"adapt-{self._seq + 1}"
        memory = TrainingMemory(total_bytes=83_412, resident_bytes=41_908, l2_bytes=125_320)
        yield self._make(
            Adaptation,
            adaptation_id=name,
            phase=Phase.STARTED,
            trigger=Trigger.DRIFT,
            window=self.window,
            steps=30,
            train_windows=160,
            from_version=self.version,
        )
        for step in (10, 20, 30):
            yield self.telemetry(0.55, 0.53)
            yield self._make(
                Adaptation,
                adaptation_id=name,
                phase=Phase.PROGRESS,
                trigger=Trigger.DRIFT,
                window=self.window,
                step=step,
                steps=30,
                loss=2.1 / step,
                train_windows=160,
                from_version=self.version,
            )
        guard = Guard(
            held_out=40,
            before_correct=22,
            after_correct=36 if committed else 21,
            p_value=0.0004 if committed else 0.73,
            risk=0.05,
            test="mcnemar-midp-one-sided",
        )
        yield self._make(
            Adaptation,
            adaptation_id=name,
            phase=Phase.COMMITTED if committed else Phase.ROLLED_BACK,
            trigger=Trigger.DRIFT,
            window=self.window,
            step=30,
            steps=30,
            loss=0.07,
            train_windows=160,
            duration_s=14.2,
            guard=guard,
            memory=memory,
            energy_mj=42.7,
            from_version=self.version,
            to_version=self.version + 1 if committed else None,
            reason="" if committed else "not better on the held-out windows (21 of 40 right, 22 before)",
        )
        if committed:
            self.version += 1
        self._statistic = 0.0

    def fault(self, *, active: bool) -> Published:
        return self._make(
            Fault,
            fault=FaultKind.FLAT_LINE,
            active=active,
            window=self.window,
            channels=["ch2"],
            detail="no change for 1.2 s" if active else "",
        )

    def state_now(self) -> Published:
        return self.state(DeviceState.ONLINE)

    def skip(self, numbers: int) -> None:
        """Numbers given out for messages that never arrive."""
        self._seq += numbers

    def health(self, last_seq: int | None = None, *, battery: float | None = None, **wearable: Any) -> Published:
        return self._make(
            Health,
            uptime_s=float(self.window),
            last_seq=last_seq or self._seq + 1,
            outbox=0,
            wearable=WearableHealth(
                connected=True, firmware="0.1.0", boot=1, weights_version=self.version, battery=battery, **wearable
            ),
        )

    def reply(self, command_id: str, status: ReplyStatus, detail: str = "") -> Published:
        return self._make(Reply, command_id=command_id, status=status, detail=detail)

    def _make(self, of: type[Sequenced], /, **fields: Any) -> Published:
        self._seq += 1
        self._clock += timedelta(milliseconds=10)
        return publish_form(of(**self._names, seq=self._seq, time=self._clock, **fields))
