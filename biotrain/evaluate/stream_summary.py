"""From streams to numbers: the agent against never adapting and against an oracle that knows the days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from biotrain.evaluate.metrics import confusion, metrics
from biotrain.evaluate.stream_job import accuracy
from biotrain.evaluate.summary import interval

Result = dict[str, Any]


def summarize_streams(results: Sequence[Result], triggers: Sequence[str]) -> dict[str, Any]:
    """Per person and trigger (means over seeds), and means over people with intervals."""
    subjects: dict[str, dict[str, Any]] = {}
    for subject in dict.fromkeys(r["subject"] for r in results):
        found = {}
        for trigger in triggers:
            own = [r for r in results if (r["subject"], r["trigger"]) == (subject, trigger)]
            if own:
                found[trigger] = _person(own)
        subjects[subject] = found
    complete = [found for found in subjects.values() if all(trigger in found for trigger in triggers)]
    by_trigger: dict[str, dict[str, Any]] = {
        t: interval([found[t]["accuracy"] for found in complete]) for t in triggers
    }
    summary: dict[str, Any] = {"subjects": subjects, "triggers": by_trigger}
    for trigger in triggers:
        by_trigger[trigger]["fit_steps"] = _mean([found[trigger]["fit_steps"] for found in complete])
        by_trigger[trigger]["forgotten"] = interval([found[trigger]["forgotten"] for found in complete])
        by_trigger[trigger]["energy_mj"] = _mean([found[trigger]["energy_mj"] for found in complete])
    if complete and {"agent", "oracle"} <= set(triggers):
        agent, oracle = by_trigger["agent"], by_trigger["oracle"]
        summary["agent_over_oracle"] = float(agent["mean"] or 0.0) / float(oracle["mean"] or 1.0)
        summary["steps_over_oracle"] = agent["fit_steps"] / oracle["fit_steps"] if oracle["fit_steps"] else None
    if complete and {"thrifty", "oracle"} <= set(triggers):
        thrifty, oracle = by_trigger["thrifty"], by_trigger["oracle"]
        summary["thrifty_over_oracle"] = float(thrifty["mean"] or 0.0) / float(oracle["mean"] or 1.0)
        summary["thrifty_steps_over_oracle"] = thrifty["fit_steps"] / max(oracle["fit_steps"], 1)
    if complete and {"agent", "never"} <= set(triggers):
        gains = [found["agent"]["accuracy"] - found["never"]["accuracy"] for found in complete]
        summary["agent_minus_never"] = interval(gains)
    return summary


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _person(own: Sequence[Result]) -> dict[str, Any]:
    found = [metrics(confusion(r["labels"], r["predicted"], len(r["classes"])), r["window_s"]) for r in own]
    phases = [[a["phase"] for a in r["adaptations"] if a["window"] >= r["starts"][0]] for r in own]
    return {
        "accuracy": _mean([m.accuracy for m in found]),
        "balanced_accuracy": _mean([m.balanced_accuracy for m in found]),
        "kappa": _mean([m.kappa for m in found]),
        "bits_per_minute": _mean([m.bits_per_minute for m in found]),
        "by_session": by_session(own),
        "alerts": _mean([len(r["alerts"]) for r in own]),
        "committed": _mean([names.count("committed") for names in phases]),
        "rolled_back": _mean([names.count("rolled_back") for names in phases]),
        "fit_steps": _mean([r["fit_steps"] for r in own]),
        "energy_mj": _mean([r["energy_mj"] for r in own]),
        "faults": _mean([len([f for f in r["faults"] if f["active"]]) for r in own]),
        "forgotten": _mean([_forgotten(r) for r in own]),
        "seeds": {r["seed"]: accuracy(r) for r in own},
    }


def _forgotten(r: Result) -> float:
    """Of the first session's test part: accuracy after the last session, less than when the stream began (of 1)."""
    kept = r["first_session"]
    return float((kept["before"] - kept["after"]) / kept["windows"])


def by_session(own: Sequence[Result]) -> dict[str, float]:
    """Session -> accuracy, mean over seeds."""
    found: dict[int, list[float]] = {}
    for r in own:
        right = np.asarray(r["labels"]) == np.asarray(r["predicted"])
        edges = [start - r["starts"][0] for start in r["starts"]] + [len(right)]
        for number, first, last in zip(r["sessions"], edges, edges[1:], strict=False):
            found.setdefault(number, []).append(float(right[first:last].mean()))
    return {str(number): float(np.mean(values)) for number, values in found.items()}


def streams_to_markdown(summary: dict[str, Any], triggers: Sequence[str]) -> str:
    """People and triggers, means below, and what the agent did."""
    lines = ["| person | " + " | ".join(triggers) + " | alerts | committed | rolled back | fit steps, agent / oracle |"]
    lines.append("|---" * (len(triggers) + 5) + "|")
    for subject, found in summary["subjects"].items():
        cells = [f"{found[t]['accuracy']:.3f}" if t in found else "" for t in triggers]
        agent, oracle = found.get("agent"), found.get("oracle")
        did = [f"{agent[name]:.1f}" for name in ("alerts", "committed", "rolled_back")] if agent else [""] * 3
        steps = " / ".join(f"{who['fit_steps']:,.0f}" for who in (agent, oracle) if who)
        lines.append(f"| {subject} | " + " | ".join([*cells, *did, steps]) + " |")
    means = [_shown(summary["triggers"][t]) for t in triggers]
    lines.append("| **mean** | " + " | ".join(means) + " | | | | |")
    if "agent_over_oracle" in summary:
        lines += ["", f"- agent over oracle: {100 * summary['agent_over_oracle']:.1f} % of its accuracy"]
        if summary["steps_over_oracle"] is not None:
            lines[-1] += f", {100 * summary['steps_over_oracle']:.0f} % of its training steps"
    if "thrifty_over_oracle" in summary:
        lines.append(
            f"- agent with the oracle's energy (thrifty) over oracle: {100 * summary['thrifty_over_oracle']:.1f} % of "
            f"its accuracy, {100 * summary['thrifty_steps_over_oracle']:.0f} % of its training steps"
        )
    if summary["triggers"].get("agent", {}).get("forgotten", {}).get("mean") is not None:
        found = summary["triggers"]["agent"]["forgotten"]
        each = ", ".join(f"{s} {-100 * p['agent']['forgotten']:+.1f}" for s, p in summary["subjects"].items())
        words = f"- agent, first session's test part, after the last session: {-100 * found['mean']:+.2f} points"
        if found["low"] is not None:
            words += f", 95 % interval {-100 * found['high']:+.1f} to {-100 * found['low']:+.1f}"
        lines.append(f"{words} ({each})")
    if "agent_minus_never" in summary:
        gain = summary["agent_minus_never"]
        words = f"- agent - never: {100 * gain['mean']:+.1f} points"
        if gain["low"] is not None:
            words += f", 95 % interval {100 * gain['low']:+.1f} to {100 * gain['high']:+.1f}"
        lines.append(words)
    return "\n".join(lines)


def _shown(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return ""
    return f"{found['mean']:.3f}" + (f" [{found['low']:.3f}, {found['high']:.3f}]" if found["low"] is not None else "")
