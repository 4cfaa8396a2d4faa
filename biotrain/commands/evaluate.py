"""`biotrain evaluate`: what adaptation would have done on recordings."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from biotrain.evaluate.run import Report, Request


class StudyChoice(StrEnum):
    """The paper's two protocols, the agent's whole stream, and the drift detectors alone."""

    DAY1 = "day1"
    LONGITUDINAL = "longitudinal"
    STREAM = "stream"
    DETECTION = "detection"
    NEWCOMER = "newcomer"
    GUARD = "guard"
    ABLATION = "ablation"


class EngineChoice(StrEnum):
    """The device's own engine, or the same protocol in torch."""

    DEVICE = "device"
    TORCH = "torch"
    BOTH = "both"


def main(
    study: Annotated[
        StudyChoice,
        typer.Argument(
            help="day1: a new person's first session; longitudinal: the later ones; stream: the whole agent over all "
            "sessions in recorded order; detection: every drift detector on changes of day; newcomer: few labels or "
            "none, with and without alignment; guard: what it lets through when labels are wrong; ablation: the agent "
            "without one part after the other."
        ),
    ],
    data: Annotated[Path, typer.Option(help="A data set's YAML file, or a folder of recordings.")],
    model: Annotated[str | None, typer.Option(help="Model; by default the EpiDeNet that suits the windows.")] = None,
    modes: Annotated[
        str, typer.Option(help="What is tuned (day1, longitudinal); full-bf16: activations kept in bf16.")
    ] = "none,last-layer,full",
    triggers: Annotated[str, typer.Option(help="Who starts adaptations (stream).")] = "never,agent,oracle,thrifty",
    subjects: Annotated[str | None, typer.Option(help="People, e.g. U1,U2; by default all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds 0, 1, ...")] = 1,
    engine: Annotated[EngineChoice, typer.Option(help="What tunes (day1, longitudinal).")] = EngineChoice.DEVICE,
    epochs: Annotated[int, typer.Option(min=1, max=900, help="Of one tuning (day1, longitudinal).")] = 30,
    learning_rate: Annotated[float, typer.Option(min=1e-9, max=0.999)] = 5e-3,
    pretrain_epochs: Annotated[int, typer.Option(min=1, help="Of the model of other people.")] = 40,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to run on instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results, table, CSV and figures.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where pre-trained models are kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """What adaptation would have done for every person of a data set, with models of everybody else.

    Interrupt it at any time: the same command continues where it was. Each person, seed and mode
    has a result file in --out, beside the table (table.md), all rows (results.csv) and figures.

        biotrain evaluate day1 --data datasets/emg_forearm.yaml --seeds 5 --out results
        biotrain evaluate longitudinal --data datasets/emg_forearm.yaml --engine both --out results
        biotrain evaluate stream --data datasets/emg_forearm.yaml --out results
    """
    from biotrain.evaluate.study import default_workers
    from biotrain.files import default_cache
    from biotrain.pretrain.settings import TrainingSettings
    from device_agent.sources.dataset import open_dataset

    _needs_torch()
    from biotrain.evaluate.run import Request, run_detection, run_protocols, run_streams
    from biotrain.evaluate.settings import NARROW, StudySettings, Tuning

    dataset = open_dataset(data)
    people = tuple(dataset.subjects) if subjects is None else _words(subjects)
    for subject in people:
        dataset.sessions(subject)
    kept = cache or default_cache()
    training = TrainingSettings(model=model, epochs=pretrain_epochs)

    def request(tell: Any) -> Request:
        place = out or kept / "evaluations" / dataset.file.name
        return Request(
            dataset, people, seeds, training, place, kept, jobs or default_workers(), scheduler, tell
        )  # fmt: skip

    if study is StudyChoice.STREAM:
        chosen = _known(triggers, ("never", "agent", "oracle", "thrifty"), "--triggers")
        report = _with_progress(lambda tell: run_streams(request(tell), chosen))
    elif study is StudyChoice.NEWCOMER:
        from biotrain.evaluate.run_newcomer import run_newcomers

        tuning = Tuning(epochs=epochs, learning_rate=learning_rate)
        report = _with_progress(lambda tell: run_newcomers(request(tell), tuning))
    elif study is StudyChoice.GUARD:
        from biotrain.evaluate.run_guard import run_guard

        report = _with_progress(lambda tell: run_guard(request(tell)))
    elif study is StudyChoice.ABLATION:
        from biotrain.evaluate.run_ablation import run_ablation

        report = _with_progress(lambda tell: run_ablation(request(tell)))
    elif study is StudyChoice.DETECTION:
        report = _with_progress(lambda tell: run_detection(request(tell)))
    else:
        tuned = ("last-layer", "full", "norm-only", "bias-only")
        narrow = tuple(f"{mode}-{form}" for mode in tuned for form in NARROW)
        chosen = _known(modes, ("none", *tuned, *narrow), "--modes")
        if engine is not EngineChoice.DEVICE and set(chosen) & set(narrow):
            raise UserError("--modes: activations in bf16 are the device's: leave --engine out")
        tuning = Tuning(epochs=epochs, learning_rate=learning_rate)
        settings = [
            StudySettings(study=study.value, engine=name, training=training, tuning=tuning)
            for name in (["device", "torch"] if engine is EngineChoice.BOTH else [engine.value])
        ]
        report = _with_progress(lambda tell: run_protocols(request(tell), settings, chosen))
    if as_json:
        print(json.dumps({**report.summary, "files": str(report.folder)}))
    else:
        print(f"{report.table}\n\n{report.folder}: {', '.join(report.files)}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def _known(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    words = _words(text)
    if unknown := [word for word in words if word not in known]:
        raise UserError(f"{option}: {unknown[0]!r} is not known: choose among {', '.join(known)}")
    return words


def _needs_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UserError("evaluation needs torch, which is not installed: pip install 'biotrain[evaluate]'")


def _with_progress(run: Any) -> Report:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("jobs", total=None, last="")
        report: Report = run(
            lambda done, of, name: progress.update(task, completed=done, total=of, last=name)
        )  # fmt: skip
        return report
