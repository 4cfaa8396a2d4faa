"""Which messages deserve a person's attention, what they are told, and what tells that it has passed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.adaptation import Adaptation, Phase
from schemas.alert import Alert, AlertRule, Severity
from schemas.base import Sequenced
from schemas.drift import DriftAlert
from schemas.fault import Fault, FaultKind
from schemas.health import Health

#: A battery below the first is low, until it is above the second.
LOW_BATTERY, BATTERY_FINE = 0.15, 0.25

_CRITICAL = (FaultKind.WEARABLE_LOST, FaultKind.DISK_FULL)


@dataclass(frozen=True, slots=True)
class Raised:
    """At most one alert of a device with this `subject` is unresolved; raised again meanwhile, it is counted."""

    subject: str
    alert: Alert
    #: The same subject within this time after it was resolved opens the old alert again, and tells nobody.
    hold_off_s: float = 0.0


def alert_for(message: Sequenced) -> Raised | None:
    """None for the daily round. The id follows from the message, so that a repeated one raises nothing new."""
    match message:
        case DriftAlert():
            return _raised(message, AlertRule.DRIFT, Severity.WARNING, _drift_text(message), message.window)
        case Adaptation(phase=Phase.ROLLED_BACK):
            text = f"Adaptation {message.adaptation_id} was rolled back{_because(message.reason)}"
            return _raised(message, AlertRule.ADAPTATION_ROLLED_BACK, Severity.WARNING, text, message.window)
        case Adaptation(phase=Phase.FAILED):
            text = f"Adaptation {message.adaptation_id} failed{_because(message.reason)}"
            return _raised(message, AlertRule.ADAPTATION_FAILED, Severity.CRITICAL, text, message.window)
        case Fault(active=True):
            severity = Severity.CRITICAL if message.fault in _CRITICAL else Severity.WARNING
            raised = _raised(message, AlertRule.SENSOR_FAULT, severity, _fault_text(message), message.window)
            return Raised(fault_subject(message.fault), raised.alert, hold_off_s=60.0)
        case Health(wearable=wearable) if wearable.battery is not None and wearable.battery < LOW_BATTERY:
            text = f"The wearable's battery is at {wearable.battery:.0%}"
            raised = _raised(message, AlertRule.LOW_BATTERY, Severity.WARNING, text, None)
            return Raised(raised.subject, raised.alert, hold_off_s=600.0)
        case _:
            return None


def alerts_for(message: Sequenced) -> Iterator[Raised]:
    """What a message gives rise to: a heartbeat may tell of a low battery and of something that was refused."""
    if (raised := alert_for(message)) is not None:
        yield raised
    if not isinstance(message, Health):
        return
    wearable = message.wearable
    if wearable.trust == "lost":
        text = "The wearable's keys are damaged: it takes nothing until a factory reset"
        yield _raised(message, AlertRule.KEYS_LOST, Severity.CRITICAL, text, None)
    refused = {
        "plans": wearable.plans_refused, "weights": wearable.weights_refused, "sets of keys": wearable.keys_refused,
        "stored weights": wearable.banks_refused,
    }  # fmt: skip
    if any(refused.values()):
        told = ", ".join(f"{what} {count}" for what, count in refused.items() if count)
        raised = _raised(
            message, AlertRule.TRUST_REFUSED, Severity.WARNING, f"Not trusted and refused since its boot: {told}", None
        )
        # By what was counted, so that a person's word holds until the counters rise.
        number = f"trust-refused-{wearable.boot}-{'-'.join(map(str, refused.values()))}"
        yield Raised(raised.subject, raised.alert.model_copy(update={"alert_id": number[:64]}))


def passed_with(message: Sequenced) -> tuple[str, ...]:
    """Subjects that this message puts an end to."""
    match message:
        case Adaptation(phase=Phase.COMMITTED):
            return (AlertRule.DRIFT, AlertRule.ADAPTATION_FAILED, AlertRule.ADAPTATION_ROLLED_BACK)
        case Fault(active=False):
            return (fault_subject(message.fault),)
        case Health(wearable=wearable) if wearable.battery is not None and wearable.battery >= BATTERY_FINE:
            return (AlertRule.LOW_BATTERY, *_keys_found(wearable.trust))
        case Health(wearable=wearable):
            return _keys_found(wearable.trust)
        case _:
            return ()


def _keys_found(trust: str) -> tuple[str, ...]:
    return (AlertRule.KEYS_LOST, AlertRule.KEYS_MISSING) if trust == "signed" else ()


def fault_subject(fault: FaultKind) -> str:
    """Each kind of fault has an alert of its own."""
    return f"{AlertRule.SENSOR_FAULT}.{fault}"


def _raised(message: Sequenced, rule: AlertRule, severity: Severity, text: str, window: int | None) -> Raised:
    alert = Alert(
        site=message.site,
        device=message.device,
        time=message.time,
        alert_id=f"{rule.value.replace('_', '-')}-{message.boot}-{message.seq}",
        rule=rule,
        severity=severity,
        wearer=message.wearer,
        message=text[:500],
        boot=message.boot,
        seq=message.seq,
        window=window,
    )
    return Raised(rule, alert)


def _drift_text(message: DriftAlert) -> str:
    fired = [evidence for evidence in message.evidence if evidence.fired] or message.evidence
    by = ", ".join(f"{evidence.detector} on {evidence.watches}" for evidence in fired)
    text = f"The signal has drifted since window {message.since_window} ({by})"
    if message.accuracy_reference is not None and message.accuracy_recent is not None:
        text += f": accuracy fell from {message.accuracy_reference:.0%} to {message.accuracy_recent:.0%}"
    return text


def _fault_text(message: Fault) -> str:
    where = f" on {', '.join(message.channels)}" if message.channels else ""
    return f"{message.fault.value.replace('_', ' ').capitalize()}{where}" + (
        f": {message.detail}" if message.detail else ""
    )


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
