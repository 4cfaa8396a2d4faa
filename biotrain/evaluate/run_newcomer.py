"""`biotrain evaluate newcomer`: people with few labelled windows, or none."""

from __future__ import annotations

from typing import Any

from biotrain.evaluate.newcomer_job import NewcomerJob, losers, read_newcomers, run_newcomer_job
from biotrain.evaluate.run import Report, Request, write_report
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.study import run_jobs
from biotrain.evaluate.summary import interval, summarize, to_csv


def run_newcomers(request: Request, tuning: Tuning) -> Report:
    """The first session teaches, the later ones test."""
    from biotrain.evaluate.newcomer import METHODS

    methods = tuple(METHODS)
    jobs = [
        NewcomerJob(
            request.dataset.place.resolve(), subject, seed, methods, request.training, tuning, request.place,
            request.cache,
        )
        for seed in range(request.seeds)
        for subject in request.subjects
    ]  # fmt: skip
    run_jobs(
        run_newcomer_job, jobs, lambda job: job.name,
        workers=request.workers, scheduler=request.scheduler, on_done=request.tell,
    )  # fmt: skip
    results = read_newcomers(jobs)
    summary: dict[str, Any] = {"study": "newcomer", "data": request.dataset.file.name, **summarize(results, methods)}
    rows = []
    for method in methods:
        own = [r for r in results if r["mode"] == method]
        rows.append(
            {
                "method": method,
                **interval([found[method]["accuracy"] for found in summary["subjects"].values()]),
                "gain": interval(
                    [found[method]["accuracy"] - found["none"]["accuracy"] for found in summary["subjects"].values()]
                ),
                "lost_more_than_a_window": losers(summary, method),
                "committed": sum(r["committed"] for r in own) / len(own),
            }
        )
    summary["methods"] = rows
    return write_report(
        request.place / "newcomer",
        summary,
        newcomer_table(summary),
        {"results.csv": to_csv(results)},
        lambda figures, folder: figures.draw_study(summary, methods, folder),
    )


def newcomer_table(summary: dict[str, Any]) -> str:
    """Methods down; mean, gain over the network of others, who loses, how often something was committed."""
    lines = [
        "| method | accuracy, mean over people | gain, points [95 %] | lose more than one test window | committed |",
        "|---|---|---|---|---|",
    ]
    for row in summary["methods"]:
        gain = row["gain"]
        limits = "" if gain["low"] is None else f" [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]"
        lost = row["lost_more_than_a_window"]
        names = f"{len(lost)}" + (f" ({', '.join(lost)})" if lost else "")
        lines.append(
            f"| {row['method']} | {row['mean']:.3f} | {100 * gain['mean']:+.1f}{limits} | {names} "
            f"| {100 * row['committed']:.0f} % |"
        )
    shown = [row["method"] for row in summary["methods"]]
    lines += ["", "| person | " + " | ".join(shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for subject, found in summary["subjects"].items():
        lines.append(f"| {subject} | " + " | ".join(f"{found[method]['accuracy']:.3f}" for method in shown) + " |")
    return "\n".join(lines)
