"""Which messages deserve a person's attention, and what they are told."""

from __future__ import annotations

from schemas.adaptation import Adaptation, Phase
from schemas.alert import Alert, AlertRule, Severity
from schemas.base import Sequenced
from schemas.drift import DriftAlert
from schemas.fault import Fault, FaultKind


def alert_for(message: Sequenced) -> Alert | None:
    """None for the daily round. The id follows from the message, so that a repeated one raises nothing new."""
    match message:
        case DriftAlert():
            return _alert(message, AlertRule.DRIFT, Severity.WARNING, _drift_text(message), message.window)
        case Adaptation(phase=Phase.ROLLED_BACK):
            text = f"Adaptation {message.adaptation_id} was rolled back{_because(message.reason)}"
            return _alert(message, AlertRule.ADAPTATION_ROLLED_BACK, Severity.WARNING, text, message.window)
        case Adaptation(phase=Phase.FAILED):
            text = f"Adaptation {message.adaptation_id} failed{_because(message.reason)}"
            return _alert(message, AlertRule.ADAPTATION_FAILED, Severity.CRITICAL, text, message.window)
        case Fault(active=True):
            severity = Severity.CRITICAL if message.fault in _CRITICAL else Severity.WARNING
            return _alert(message, AlertRule.SENSOR_FAULT, severity, _fault_text(message), message.window)
        case _:
            return None


_CRITICAL = (FaultKind.WEARABLE_LOST, FaultKind.DISK_FULL)


def _alert(message: Sequenced, rule: AlertRule, severity: Severity, text: str, window: int) -> Alert:
    return Alert(
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
