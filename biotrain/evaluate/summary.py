"""From results to numbers: per person and mode, means over people with intervals, and paired differences."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from biotrain.evaluate.metrics import confusion, metrics

Result = dict[str, Any]


def summarize(results: Sequence[Result], modes: Sequence[str]) -> dict[str, Any]:
    """`subjects` -> person -> mode -> metrics (means over seeds); `modes` -> mode -> mean, std, interval over people.

    The unit of every interval is the person: seeds and sessions of one person are no independent evidence.
    """
    subjects: dict[str, dict[str, Any]] = {}
    for subject in dict.fromkeys(r["subject"] for r in results):
        own = [r for r in results if r["subject"] == subject]
        present = [mode for mode in modes if any(r["mode"] == mode for r in own)]
        subjects[subject] = {mode: _person([r for r in own if r["mode"] == mode]) for mode in present}
    complete = [s for s in subjects if all(mode in subjects[s] for mode in modes)]
    accuracy = {mode: [subjects[s][mode]["accuracy"] for s in complete] for mode in modes}
    return {
        "subjects": subjects,
        "modes": {mode: interval(values) for mode, values in accuracy.items()},
        "differences": {
            f"{second} - {first}": interval([b - a for a, b in zip(accuracy[first], accuracy[second], strict=True)])
            for first, second in combinations(modes, 2)
        },
        "by_session": _by_session(results, modes),
        "seeds": sorted({r["seed"] for r in results}),
        "classes": results[0]["classes"] if results else [],
        "confusion": {
            mode: sum(_matrix(r) for r in results if r["mode"] == mode).tolist()
            for mode in modes
            if any(r["mode"] == mode for r in results)
        },
    }


def interval(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, standard deviation and 95 % t interval of the mean; no interval for a single value."""
    count = len(values)
    if not count:
        return {"people": 0, "mean": None, "std": None, "low": None, "high": None}
    mean = float(np.mean(values))
    if count == 1:
        return {"people": 1, "mean": mean, "std": None, "low": None, "high": None}
    std = float(np.std(values, ddof=1))
    half = _t_quantile(count - 1) * std / math.sqrt(count)
    return {"people": count, "mean": mean, "std": std, "low": mean - half, "high": mean + half}


def _t_quantile(freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


def _matrix(result: Result) -> Any:
    labels = [label for session in result["sessions"] for label in session["labels"]]
    predicted = [label for session in result["sessions"] for label in session["predicted"]]
    return confusion(labels, predicted, len(result["classes"]))


def _accuracy(session: dict[str, Any]) -> float:
    return float(np.mean(np.asarray(session["labels"]) == np.asarray(session["predicted"])))


def _person(results: Sequence[Result]) -> dict[str, Any]:
    """Means over seeds; accuracy is the mean over sessions, as in the paper, the rest is of all windows together."""
    by_seed = {r["seed"]: float(np.mean([_accuracy(s) for s in r["sessions"]])) for r in results}
    pooled = [asdict(metrics(_matrix(r), r["window_s"])) for r in results]
    return {
        "accuracy": float(np.mean(list(by_seed.values()))),
        **{
            name: float(np.mean([m[name] for m in pooled]))
            for name in ("balanced_accuracy", "kappa", "bits_per_minute")
        },
        "windows": pooled[0]["windows"],
        "by_seed": by_seed,
    }


def _by_session(results: Sequence[Result], modes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """mode -> session -> interval over people of the mean over seeds."""
    found: dict[str, dict[int, dict[str, list[float]]]] = {mode: {} for mode in modes}
    for r in results:
        for session in r["sessions"]:
            people = found[r["mode"]].setdefault(session["session"], {})
            people.setdefault(r["subject"], []).append(_accuracy(session))
    return {
        mode: {
            str(number): interval([float(np.mean(seeds)) for seeds in people.values()])
            for number, people in sorted(sessions.items())
        }
        for mode, sessions in found.items()
    }


def to_csv(results: Iterable[Result]) -> str:
    """One line for each person, seed, mode and session."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["study", "engine", "subject", "seed", "mode", "session", "windows", "correct", "accuracy"])
    for r in results:
        for s in r["sessions"]:
            correct = sum(a == b for a, b in zip(s["labels"], s["predicted"], strict=True))
            row = [r["study"], r["engine"], r["subject"], r["seed"], r["mode"], s["session"], len(s["labels"]), correct]
            writer.writerow([*row, f"{_accuracy(s):.4f}"])
    return out.getvalue()


def to_markdown(summary: dict[str, Any], modes: Sequence[str]) -> str:
    """A table of people and modes, with the means below."""
    lines = ["| person | " + " | ".join(modes) + " |", "|---" * (len(modes) + 1) + "|"]
    for subject, found in summary["subjects"].items():
        cells = [f"{found[mode]['accuracy']:.3f}" if mode in found else "" for mode in modes]
        lines.append(f"| {subject} | " + " | ".join(cells) + " |")
    lines.append("| **mean** | " + " | ".join(_shown(summary["modes"][mode]) for mode in modes) + " |")
    lines += ["", *(f"- {name}: {_points(found)}" for name, found in summary["differences"].items())]
    return "\n".join(lines)


def _shown(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return ""
    if found["low"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ± {found['std']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _points(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return "nobody has both"
    if found["low"] is None:
        return f"{100 * found['mean']:+.1f} points"
    return f"{100 * found['mean']:+.1f} points, 95 % interval {100 * found['low']:+.1f} to {100 * found['high']:+.1f}"


def binomial_interval(events: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's: never covers less than it says."""
    from scipy import stats

    if not runs:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, events, runs - events + 1)) if events else 0.0
    high = float(stats.beta.ppf(1 - tail, events + 1, runs - events)) if events < runs else 1.0
    return low, high
