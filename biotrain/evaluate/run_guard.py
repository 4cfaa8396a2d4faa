"""`biotrain evaluate guard`: how often weights serve that are worse on windows that nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from biotrain.evaluate.guard_job import KINDS, GuardJob, read_guard, run_guard_job
from biotrain.evaluate.run import Report, Request, write_report
from biotrain.evaluate.study import run_jobs
from biotrain.evaluate.summary import binomial_interval

ALLOWED = 0.05


def run_guard(request: Request) -> Report:
    """Every change of day of every person, with every kind of labels."""
    place = request.dataset.place.resolve()
    jobs = [
        GuardJob(place, subject, seed, session, request.training, request.place, request.cache)
        for seed in range(request.seeds)
        for subject in request.subjects
        for session in sorted(request.dataset.sessions(subject))[:-1]
    ]
    run_jobs(
        run_guard_job, jobs, lambda job: job.name,
        workers=request.workers, scheduler=request.scheduler, on_done=request.tell,
    )  # fmt: skip
    results = read_guard(jobs)
    kinds = [summarize_guard(results, kind) for kind in KINDS]
    everything = summarize_guard(results, None)
    summary: dict[str, Any] = {"study": "guard", "data": request.dataset.file.name, "kinds": kinds, "all": everything}
    rows = ["subject,seed,session,labels,true_labels,alerts,fits,commits,unseen,before,after"]
    rows += [
        f"{r['subject']},{r['seed']},{r['session']},{r['kind']},{r['true_labels']:.3f},{r['alerts']},{r['fits']},"
        f"{r['commits']},{r['unseen']},{r['before']},{r['after']}"
        for r in results
    ]
    return write_report(
        request.place / "guard",
        summary,
        guard_table([*kinds, everything]),
        {"results.csv": "\n".join(rows) + "\n"},
        lambda figures, folder: [],
    )


def summarize_guard(results: Sequence[dict[str, Any]], kind: str | None) -> dict[str, Any]:
    """Harmful: something was committed, and what serves at the end is right on fewer unseen windows than before."""
    own = [r for r in results if kind in (None, r["kind"])]
    harmful = sum(r["commits"] > 0 and r["after"] < r["before"] for r in own)
    low, high = binomial_interval(harmful, len(own))
    unseen = sum(r["unseen"] for r in own)
    return {
        "labels": kind or "all",
        "runs": len(own),
        "with_commits": sum(r["commits"] > 0 for r in own),
        "harmful": harmful,
        "share": harmful / len(own) if own else None,
        "low": low,
        "high": high,
        "true_labels": sum(r["true_labels"] for r in own) / len(own) if own else None,
        "gain": sum(r["after"] - r["before"] for r in own) / unseen if unseen else None,
        "worst": min(((r["after"] - r["before"]) / r["unseen"] for r in own), default=None),
    }


def guard_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each kind of labels, with the binomial interval of harmful commits."""
    lines = [
        "| labels | of them true | runs | with a commit | harmful [95 %] | mean gain on unseen windows | worst run |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if not row["runs"]:
            continue
        limits = f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        lines.append(
            f"| {row['labels']} | {100 * row['true_labels']:.0f} % | {row['runs']} | {row['with_commits']} "
            f"| {row['harmful']}: {100 * row['share']:.1f} % {limits} | {100 * row['gain']:+.1f} points "
            f"| {100 * row['worst']:+.1f} points |"
        )
    return "\n".join(lines)
