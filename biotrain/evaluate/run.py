"""What `biotrain evaluate` does once its options are known: run, summarise, write, and give back what to print."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biotrain.evaluate.detectors import changes_counted, detection_table, measure, watchers
from biotrain.evaluate.settings import StudySettings
from biotrain.evaluate.stream_job import (
    StreamJob,
    TraceJob,
    accuracy,
    read_streams,
    run_stream_job,
    run_trace_job,
)
from biotrain.evaluate.stream_summary import streams_to_markdown, summarize_streams
from biotrain.evaluate.study import OnDone, collect, make_jobs, run_jobs, run_study
from biotrain.evaluate.summary import summarize, to_csv, to_markdown
from biotrain.files import write_whole
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import Dataset

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What all evaluations have in common."""

    dataset: Dataset
    subjects: tuple[str, ...]
    seeds: int
    training: TrainingSettings
    place: Path
    cache: Path
    workers: int
    scheduler: str | None
    tell: OnDone


@dataclass(frozen=True)
class Report:
    """The summary as JSON, the table as text, and the files that were written."""

    summary: Json
    table: str
    folder: Path
    files: tuple[str, ...]


def run_protocols(request: Request, settings: Sequence[StudySettings], modes: Sequence[str]) -> Report:
    """day1 or longitudinal, on one engine or on both side by side."""
    jobs = make_jobs(
        request.dataset, settings, request.subjects, range(request.seeds), modes, request.place, request.cache
    )
    run_study(jobs, workers=request.workers, scheduler=request.scheduler, on_done=request.tell)
    results, study = collect(jobs), settings[0].study
    engines = [chosen.engine for chosen in settings]
    by_engine = {name: summarize([r for r in results if r["engine"] == name], modes) for name in engines}
    tables = [f"{study}, engine {name}\n\n{to_markdown(found, modes)}" for name, found in by_engine.items()]
    heading = {"study": study, "model": results[0]["model"], "data": results[0]["data"], "engine": engines[0]}
    summary: Json = {**heading, **by_engine[engines[0]]}
    if len(engines) > 1:
        summary["engines"] = {name: found["modes"] for name, found in by_engine.items()}
        first, second = (by_engine[name]["modes"] for name in engines[:2])
        apart = {mode: 100 * (first[mode]["mean"] - second[mode]["mean"]) for mode in modes}
        summary["device_minus_torch_points"] = apart
        tables.append("device - torch, points: " + ", ".join(f"{mode} {points:+.2f}" for mode, points in apart.items()))
    return write_report(
        request.place / study,
        summary,
        "\n\n".join(tables),
        {"results.csv": to_csv(results)},
        lambda figures, folder: figures.draw_study(summary, modes, folder),
    )


def run_streams(request: Request, triggers: Sequence[str]) -> Report:
    """The whole agent over all sessions, against never adapting and the oracle."""
    place = request.dataset.place.resolve()
    jobs = [
        StreamJob(
            place, subject, seed, tuple(triggers), request.training, request.place, request.cache
        )
        for seed in range(request.seeds)
        for subject in request.subjects
    ]  # fmt: skip
    run_jobs(
        run_stream_job, jobs, lambda job: job.name,
        workers=request.workers, scheduler=request.scheduler, on_done=request.tell,
    )  # fmt: skip
    results = read_streams(jobs)
    summary: Json = {"study": "stream", "data": request.dataset.file.name, "seeds": request.seeds}
    summary |= summarize_streams(results, triggers)
    rows = ["subject,seed,trigger,windows,accuracy,alerts,fit_steps,energy_mj"]
    rows += [
        f"{r['subject']},{r['seed']},{r['trigger']},{len(r['labels'])},{accuracy(r):.4f},{len(r['alerts'])},"
        f"{r['fit_steps']},{r['energy_mj']:.1f}"
        for r in results
    ]
    return write_report(
        request.place / "stream",
        summary,
        streams_to_markdown(summary, triggers),
        {"results.csv": "\n".join(rows) + "\n"},
        lambda figures, folder: figures.draw_streams(results, summary, folder),
    )


def run_detection(request: Request) -> Report:
    """Every detector and the monitor on changes of day, and on windows without one."""
    from biotrain.evaluate.traces import load_traces

    jobs = [
        TraceJob(request.dataset.place.resolve(), subject, seed, request.training, request.place, request.cache)
        for seed in range(request.seeds)
        for subject in request.subjects
    ]
    run_jobs(
        run_trace_job, jobs, lambda job: job.name,
        workers=request.workers, scheduler=request.scheduler, on_done=request.tell,
    )  # fmt: skip
    traces = [trace for job in jobs for trace in load_traces(job.path)]
    rows = [measure(name, make, traces) for name, make in watchers().items()]
    ten, twenty = changes_counted(traces)
    heading = (
        f"{len(traces)} tuned models; {ten} changes of day cost 10 points or more, {twenty} of them 20 or more\n\n"
    )
    summary: Json = {"study": "detection", "data": request.dataset.file.name, "seeds": request.seeds, "detectors": rows}
    return write_report(
        request.place / "detection", summary, heading + detection_table(rows), {}, lambda figures, folder: []
    )


def write_report(
    folder: Path, summary: Json, table: str, files: dict[str, str], draw: Callable[[Any, Path], list[Path]]
) -> Report:
    """Table, summary, other files and, where matplotlib is there, figures; each is replaced whole."""
    contents = {"table.md": table + "\n", "summary.json": json.dumps(summary, indent=1), **files}
    for name, text in contents.items():
        write_whole(folder / name, text.encode())
    names = list(contents)
    try:
        from biotrain.evaluate import figures
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        names.append("no figures: they need matplotlib (pip install 'biotrain[evaluate]')")
    else:
        names += [path.name for path in draw(figures, folder)]
    return Report(summary, table, folder, tuple(names))
