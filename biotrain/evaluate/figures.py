"""Figures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: Readable with every kind of colour vision (Okabe and Ito).
COLOURS = {
    "none": "#999999",
    "last-layer": "#E69F00",
    "full": "#0072B2",
    "norm-only": "#009E73",
    "bias-only": "#CC79A7",
}


def draw_study(summary: dict[str, Any], modes: Sequence[str], place: Path) -> list[Path]:
    """Accuracy by person and mode; by session where there are several. Intervals are 95 %, over people."""
    place.mkdir(parents=True, exist_ok=True)
    drawn = [_by_person(summary, modes, place / "people.png")]
    if any(len(sessions) > 1 for sessions in summary["by_session"].values()):
        drawn.append(_by_session(summary, modes, place / "sessions.png"))
    return drawn


def _colours(modes: Sequence[str]) -> dict[str, Any]:
    """Of each mode, no two alike."""
    if set(modes) <= set(COLOURS):
        return COLOURS
    return {mode: plt.get_cmap("tab10")(i % 10) for i, mode in enumerate(modes)}


def _by_person(summary: dict[str, Any], modes: Sequence[str], path: Path) -> Path:
    people = list(summary["subjects"])
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * (len(people) + 1), 3.6), layout="constrained")
    width, colours = 0.8 / len(modes), _colours(modes)
    for i, mode in enumerate(modes):
        at = [k + (i - (len(modes) - 1) / 2) * width for k in range(len(people) + 1)]
        values = [summary["subjects"][s].get(mode, {}).get("accuracy", float("nan")) for s in people]
        mean = summary["modes"][mode]
        axes.bar(at, [*values, mean["mean"] or 0.0], width * 0.92, color=colours[mode], label=mode)
        if mean["low"] is not None:
            error = [[mean["mean"] - mean["low"]], [mean["high"] - mean["mean"]]]
            axes.errorbar(at[-1:], [mean["mean"]], error, color="black", capsize=3, linewidth=1)
        for k, subject in enumerate(people):
            seeds = list(summary["subjects"][subject].get(mode, {}).get("by_seed", {}).values())
            axes.plot([at[k]] * len(seeds), seeds, ".", color="black", markersize=3, alpha=0.6)
    axes.axvline(len(people) - 0.5, color="#cccccc", linewidth=1)
    axes.set_xticks(range(len(people) + 1), [*people, "mean"])
    axes.set_ylim(0, 1)
    axes.set_ylabel(
        "accuracy on the later sessions" if summary["study"] == "newcomer" else "accuracy on the session's last part"
    )
    axes.set_title(
        f"{summary['data']}, {summary['study']}: dots are seeds, bar of the mean 95 % over people", fontsize=9
    )
    figure.legend(ncols=min(len(modes), 5), fontsize=8, loc="outside lower center")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _by_session(summary: dict[str, Any], modes: Sequence[str], path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for mode in modes:
        sessions = summary["by_session"][mode]
        x = [int(number) for number in sessions]
        found = list(sessions.values())
        axes.plot(x, [f["mean"] for f in found], "o-", color=COLOURS.get(mode), label=mode, markersize=4)
        if all(f["low"] is not None for f in found):
            low, high = [max(f["low"], 0.0) for f in found], [min(f["high"], 1.0) for f in found]
            axes.fill_between(x, low, high, color=COLOURS.get(mode), alpha=0.15, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_xlabel("session")
    axes.set_ylabel("accuracy on the session's last part")
    axes.set_title(f"{summary['data']}, {summary['study']}: means over people, bands 95 %", fontsize=9)
    axes.legend(ncols=len(modes), fontsize=8, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def draw_streams(results: Sequence[dict[str, Any]], summary: dict[str, Any], place: Path) -> list[Path]:
    """Accuracy by session; accuracy against energy; and the first person's drift score with alarms and adaptations."""
    place.mkdir(parents=True, exist_ok=True)
    drawn = [_stream_sessions(summary, place / "sessions.png"), _energy(summary, place / "energy.png")]
    agents = [r for r in results if r["trigger"] == "agent"]
    first = {r["subject"]: r for r in reversed(agents)}
    return drawn + [_timeline(result, place / f"timeline-{subject}.png") for subject, result in first.items()]


_TRIGGER_COLOURS = {"never": "#999999", "agent": "#0072B2", "oracle": "#D55E00", "thrifty": "#56B4E9"}


def _stream_sessions(summary: dict[str, Any], path: Path) -> Path:
    from biotrain.evaluate.summary import interval

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for trigger in summary["triggers"]:
        people = [found[trigger]["by_session"] for found in summary["subjects"].values() if trigger in found]
        numbers = sorted({int(n) for sessions in people for n in sessions})
        found = [interval([sessions[str(n)] for sessions in people if str(n) in sessions]) for n in numbers]
        colour = _TRIGGER_COLOURS[trigger]
        axes.plot(numbers, [f["mean"] or 0.0 for f in found], "o-", color=colour, label=trigger, markersize=4)
        if all(f["low"] is not None for f in found):
            low, high = [max(f["low"] or 0, 0.0) for f in found], [min(f["high"] or 1, 1.0) for f in found]
            axes.fill_between(numbers, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_xlabel("session")
    axes.set_ylabel("accuracy, test-then-train")
    axes.set_title("Streams in recorded order: means over people, bands 95 %", fontsize=9)
    axes.legend(fontsize=8, loc="lower left", ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _energy(summary: dict[str, Any], path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for trigger in summary["triggers"]:
        for number, (subject, found) in enumerate(summary["subjects"].items()):
            if trigger in found:
                x, y = found[trigger]["energy_mj"] / 1000.0, found[trigger]["accuracy"]
                axes.plot(x, y, "o", color=_TRIGGER_COLOURS[trigger], label=trigger if number == 0 else None)
                axes.annotate(subject, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axes.set_xlabel("energy of all fine-tuning, J (model of the device)")
    axes.set_ylabel("accuracy, test-then-train")
    axes.set_title("What adaptation costs, and what it brings", fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def _timeline(result: dict[str, Any], path: Path) -> Path:
    import numpy as np

    figure, (top, below) = plt.subplots(
        2, 1, figsize=(8.5, 4.6), sharex=True, layout="constrained", gridspec_kw={"height_ratios": [3, 2]}
    )
    right = (np.asarray(result["labels"]) == np.asarray(result["predicted"])).astype(float)
    width = 40
    smooth = np.convolve(right, np.ones(width) / width, "valid")
    first = result["starts"][0]
    top.plot(first + width - 1 + np.arange(len(smooth)), smooth, color="#0072B2", linewidth=1.2)
    top.set_ylim(0, 1.02)
    top.set_ylabel(f"accuracy of {width} windows")
    marks = {"committed": ("v", "#009E73"), "rolled_back": ("x", "#999999"), "failed": ("x", "#D55E00")}
    for phase, (marker, colour) in marks.items():
        at = [a["window"] for a in result["adaptations"] if a["phase"] == phase]
        top.plot(at, [0.04] * len(at), marker, color=colour, markersize=5, label=phase.replace("_", " "))
    for axes in (top, below):
        for start in result["starts"]:
            axes.axvline(start, color="#bbbbbb", linewidth=0.8, linestyle=":")
        for alert in result["alerts"]:
            axes.axvline(alert["window"], color="#D55E00", linewidth=0.8)
    score = np.asarray(result["score"], float)
    below.plot(score[:, 0], score[:, 1] / score[:, 2], color="#444444", linewidth=0.9)
    below.axhline(1.0, color="#D55E00", linewidth=0.8, linestyle="--")
    below.set_ylim(0, 2.5)
    below.set_ylabel("drift score / threshold")
    below.set_xlabel("window (dotted: a new day, which nobody told the agent; orange: alert)")
    top.legend(fontsize=7, loc="lower right", ncols=3, bbox_to_anchor=(1.0, 1.0), frameon=False)
    top.set_title(f"{result['subject']}, seed {result['seed']}", fontsize=9, loc="left")
    for axes in (top, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
