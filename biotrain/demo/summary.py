"""How a demo ends: the stable JSON fields, and the same in plain words."""

from __future__ import annotations

from typing import Any

from biotrain.demo.check import CheckReport

Json = dict[str, Any]


def summarize(agent: Json, check: CheckReport, restarts: dict[str, int], url: str) -> Json:
    """`agent` is the agent's last line; its fields are passed on as they are."""
    stable = ("windows", "windows_dropped", "accuracy", "drift_alerts", "adaptations", "device", "published", "stored")
    return {
        **{name: agent[name] for name in stable},
        "check": {
            "wearable_events": check.wearable_events,
            "agent_events": check.agent_events,
            "problems": check.problems,
        },
        "restarts": restarts,
        "url": url,
    }


def in_words(summary: Json) -> str:
    """For a person who has never seen this."""
    accuracy, adaptations, check = summary["accuracy"], summary["adaptations"], summary["check"]
    lines = [
        f"{summary['windows']} windows were classified on the wearable, {summary['windows_dropped']} were dropped.",
        f"Accuracy before the drift            {_percent(accuracy['before_drift'])}",
        f"after it, without adaptation         {_percent(accuracy['after_drift'])}",
        f"after it, adapted on the wearable    {_percent(accuracy['after_adaptation'])}{_gain(accuracy)}",
        f"{_count(summary['drift_alerts'], 'drift alert')} raised; {_count(adaptations['started'], 'adaptation')} of "
        f"the whole network: {adaptations['committed']} committed, {adaptations['rolled_back']} rolled back.",
        _memory(summary["device"]),
        f"{summary['published']} messages published, {summary['stored']} stored by the supervisor.",
    ]
    noted = check["wearable_events"] + check["agent_events"]
    if check["problems"]:
        lines.append(f"The checker found {len(check['problems'])} problems, first: {check['problems'][0]}.")
    else:
        lines.append(f"All {noted} events in the wearable's and the agent's own logs are in the store, once.")
    if again := [f"{name} {count}×" for name, count in summary["restarts"].items() if count]:
        lines.append(f"Processes that died and were started again: {', '.join(again)}.")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "no window" if share is None else f"{share:6.1%}"


def _gain(accuracy: Json) -> str:
    if accuracy["after_adaptation"] is None or accuracy["after_drift"] is None:
        return ""
    return f"  ({100 * (accuracy['after_adaptation'] - accuracy['after_drift']):+.1f} points on the same windows)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _memory(device: Json) -> str:
    words = {
        "total_bytes": "training state",
        "resident_bytes": "resident beside it",
        "l2_bytes": "L2 at the high-water mark",
    }
    known = [f"{words[name]} {device[name]:,} bytes" for name in words if device.get(name) is not None]
    return "Memory on the device: " + "; ".join(known) + "."
