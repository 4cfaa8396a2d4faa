"""Plans and roll-outs as lines of text."""

from __future__ import annotations

from typing import Any

STATES = {
    "waiting": "not asked yet",
    "asked": "asked",
    "running": "running",
    "failed": "failed to take it",
    "no_answer": "away",
    "returning": "returning",
    "returned": "returned",
    "not_returned": "not returned yet",
}


def plan_line(plan: dict[str, Any]) -> str:
    """One line of a list of plans."""
    weights = "with weights" if plan["weights"] else "keeps the device's weights"
    return f"{plan['id']:>5}  {plan['name']:24} {plan['model']:24} {plan['plan_hash'][:12]}  {weights}"


def rollout_lines(rollout: dict[str, Any]) -> list[str]:
    """Its state, the newest comparison, and where its devices are."""
    head = (
        f"roll-out {rollout['id']}: plan {rollout['plan_name']} to {rollout['site']}/{rollout['group']}, "
        f"{rollout['state']}, stage {rollout['stage']} of {rollout['stages']}"
    )
    lines = [head + (f": {rollout['reason']}" if rollout["reason"] else "")]
    lines.append("  " + ", ".join(f"{count} {STATES.get(state, state)}" for state, count in rollout["counts"].items()))
    found = rollout["comparison"]
    if found is not None:
        beside = f", beside {found['others']} without it" if found["others"] else ""
        lines.append(
            f"  accuracy {100 * found['difference']:+.1f} ± {100 * found['standard_error']:.1f} points on "
            f"{found['devices']} devices ({found['labelled']} labelled windows{beside}), "
            f"p = {found['p_value']:.2g}, stops at {found['threshold']:.2g}"
        )
    for device in rollout["devices"]:
        accuracy = "" if device["after"] is None else f" {device['before'] or 0:.0%} -> {device['after']:.0%}"
        state = STATES.get(device["state"], device["state"])
        lines.append(f"  {device['device']:24} stage {device['stage']}  {state}{accuracy}  {device['detail']}".rstrip())
    return lines
