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


def _by_person(summary: dict[str, Any], modes: Sequence[str], path: Path) -> Path:
    people = list(summary["subjects"])
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * (len(people) + 1), 3.6), layout="constrained")
    width = 0.8 / len(modes)
    for i, mode in enumerate(modes):
        at = [k + (i - (len(modes) - 1) / 2) * width for k in range(len(people) + 1)]
        values = [summary["subjects"][s].get(mode, {}).get("accuracy", float("nan")) for s in people]
        mean = summary["modes"][mode]
        axes.bar(at, [*values, mean["mean"] or 0.0], width * 0.92, color=COLOURS.get(mode), label=mode)
        if mean["low"] is not None:
            error = [[mean["mean"] - mean["low"]], [mean["high"] - mean["mean"]]]
            axes.errorbar(at[-1:], [mean["mean"]], error, color="black", capsize=3, linewidth=1)
        for k, subject in enumerate(people):
            seeds = list(summary["subjects"][subject].get(mode, {}).get("by_seed", {}).values())
            axes.plot([at[k]] * len(seeds), seeds, ".", color="black", markersize=3, alpha=0.6)
    axes.axvline(len(people) - 0.5, color="#cccccc", linewidth=1)
    axes.set_xticks(range(len(people) + 1), [*people, "mean"])
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy on the session's last part")
    axes.set_title(
        f"{summary['data']}, {summary['study']}: dots are seeds, bar of the mean 95 % over people", fontsize=9
    )
    axes.legend(ncols=len(modes), fontsize=8, loc="lower center", framealpha=0.9)
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
