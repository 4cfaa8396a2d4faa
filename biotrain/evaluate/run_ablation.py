"""`biotrain evaluate ablation`: what each part of the agent is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from biotrain.evaluate.ablation_job import AblationJob, read_ablations, run_ablation_job
from biotrain.evaluate.run import Report, Request, write_report
from biotrain.evaluate.study import run_jobs
from biotrain.evaluate.summary import interval

_AGAINST = {"electrode faults, no gate": "electrode faults, gate"}
"""Rows that are compared with another one than the default."""


def run_ablation(request: Request) -> Report:
    """The agent without one of its parts after the other, for every person and seed."""
    from biotrain.evaluate.ablation import VARIANTS

    jobs = [
        AblationJob(
            request.dataset.place.resolve(), subject, seed, tuple(VARIANTS), request.training, request.place,
            request.cache,
        )
        for seed in range(request.seeds)
        for subject in request.subjects
    ]  # fmt: skip
    run_jobs(
        run_ablation_job, jobs, lambda job: job.name,
        workers=request.workers, scheduler=request.scheduler, on_done=request.tell,
    )  # fmt: skip
    results = read_ablations(jobs)
    rows = [ablation_row(results, variant) for variant in VARIANTS]
    summary: dict[str, Any] = {"study": "ablation", "data": request.dataset.file.name, "variants": rows}
    names = ("subject", "seed", "variant", "accuracy", "alerts", "faults", "committed", "rolled_back", "fit_steps")
    lines = [",".join(names), *(",".join(str(r[name]) for name in names) for r in results)]
    return write_report(
        request.place / "ablation", summary, ablation_table(rows), {"results.csv": "\n".join(lines) + "\n"},
        lambda figures, folder: [],
    )  # fmt: skip


def ablation_row(results: Sequence[dict[str, Any]], variant: str) -> dict[str, Any]:
    """Means over seeds within a person, then over people; the difference is taken within people."""
    against = _AGAINST.get(variant, "agent (default)")
    means = {
        name: {
            subject: float(np.mean([r["accuracy"] for r in results if (r["variant"], r["subject"]) == (name, subject)]))
            for subject in dict.fromkeys(r["subject"] for r in results if r["variant"] == name)
        }
        for name in (variant, against)
    }
    own = [r for r in results if r["variant"] == variant]
    both = [subject for subject in means[variant] if subject in means[against]]
    return {
        "variant": variant,
        "against": against,
        "accuracy": interval(list(means[variant].values())),
        "difference": interval([means[variant][s] - means[against][s] for s in both]),
        **{
            name: float(np.mean([r[name] for r in own])) if own else None
            for name in ("alerts", "faults", "committed", "rolled_back", "fit_steps", "energy_mj")
        },
    }


def ablation_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each variant, differences in points of accuracy."""
    lines = [
        "| variant | accuracy | difference, points [95 %] | alerts | faults | committed | rolled back | steps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["accuracy"]["mean"] is None:
            continue
        found, apart = row["accuracy"], row["difference"]
        limits = "" if apart["low"] is None else f" [{100 * apart['low']:+.1f}, {100 * apart['high']:+.1f}]"
        words = "" if row["variant"] == row["against"] else f"{100 * apart['mean']:+.1f}{limits}"
        counts = " | ".join(f"{row[name]:.1f}" for name in ("alerts", "faults", "committed", "rolled_back"))
        lines.append(f"| {row['variant']} | {found['mean']:.3f} | {words} | {counts} | {row['fit_steps']:,.0f} |")
    return "\n".join(lines)
