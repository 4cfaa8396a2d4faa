"""`biotrain evaluate`: what adaptation would have done on recordings."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from biotrain.evaluate.job import Job


class StudyChoice(StrEnum):
    """The paper's two protocols, and the agent's whole stream."""

    DAY1 = "day1"
    LONGITUDINAL = "longitudinal"


class EngineChoice(StrEnum):
    """The device's own engine, or the same protocol in torch."""

    DEVICE = "device"
    TORCH = "torch"
    BOTH = "both"


def main(
    study: Annotated[
        StudyChoice, typer.Argument(help="day1: a new person's first session; longitudinal: the later ones.")
    ],
    data: Annotated[Path, typer.Option(help="A data set's YAML file, or a folder of recordings.")],
    model: Annotated[str | None, typer.Option(help="Model; by default the EpiDeNet that suits the windows.")] = None,
    modes: Annotated[str, typer.Option(help="What is tuned.")] = "none,last-layer,full",
    subjects: Annotated[str | None, typer.Option(help="People, e.g. U1,U2; by default all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds 0, 1, ...")] = 1,
    engine: Annotated[EngineChoice, typer.Option(help="What tunes.")] = EngineChoice.DEVICE,
    epochs: Annotated[int, typer.Option(min=1, max=900, help="Of one tuning.")] = 30,
    learning_rate: Annotated[float, typer.Option(min=1e-9, max=0.999)] = 5e-3,
    pretrain_epochs: Annotated[int, typer.Option(min=1, help="Of the model of other people.")] = 40,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default one for each core.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to run on instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results, table, CSV and figures.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where pre-trained models are kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Pre-train on everybody else, tune on the first part of a session, test on its last; for every person.

    Interrupt it at any time: the same command continues where it was. Each person, seed and mode
    has a result file in --out, beside the table (table.md), all rows (results.csv) and figures.

        biotrain evaluate day1 --data datasets/emg_forearm.yaml --seeds 5 --out results
        biotrain evaluate longitudinal --data datasets/emg_forearm.yaml --engine both --out results
    """
    from biotrain.evaluate.settings import MODES, StudySettings, Tuning
    from biotrain.evaluate.study import collect, default_workers, make_jobs, run_study
    from biotrain.files import default_cache
    from biotrain.pretrain.settings import TrainingSettings
    from device_agent.sources.dataset import open_dataset

    chosen_modes = [mode.strip() for mode in modes.split(",")]
    known = (*MODES, "norm-only", "bias-only")
    if unknown := [mode for mode in chosen_modes if mode not in known]:
        raise UserError(f"--modes: {unknown[0]!r} is not known: choose among {', '.join(known)}")
    dataset = open_dataset(data)
    engines = ["device", "torch"] if engine is EngineChoice.BOTH else [engine.value]
    settings = [
        StudySettings(
            study=study.value,
            engine=name,
            training=TrainingSettings(model=model, epochs=pretrain_epochs),
            tuning=Tuning(epochs=epochs, learning_rate=learning_rate),
        )
        for name in engines
    ]
    people = list(dataset.subjects) if subjects is None else [name.strip() for name in subjects.split(",")]
    kept = cache or default_cache()
    place = out or kept / "evaluations" / dataset.file.name
    all_jobs = make_jobs(dataset, settings, people, range(seeds), chosen_modes, place, kept)
    _with_progress(all_jobs, lambda tell: run_study(
        all_jobs, workers=jobs or default_workers(), scheduler=scheduler, on_done=tell
    ))  # fmt: skip
    _tell(study.value, collect(all_jobs), engines, chosen_modes, place / study.value, as_json)


def _tell(
    study: str, results: list[dict[str, Any]], engines: list[str], modes: list[str], place: Path, as_json: bool
) -> None:
    from biotrain.evaluate.summary import summarize, to_csv, to_markdown
    from biotrain.files import write_whole

    by_engine = {name: summarize([r for r in results if r["engine"] == name], modes) for name in engines}
    first = by_engine[engines[0]]
    tables = "\n\n".join(f"{study}, engine {name}\n\n{to_markdown(found, modes)}" for name, found in by_engine.items())
    summary = {"study": study, "model": results[0]["model"], "data": results[0]["data"], "engine": engines[0], **first}
    if len(engines) > 1:
        summary["engines"] = {name: found["modes"] for name, found in by_engine.items()}
        apart = {
            m: 100 * (by_engine["device"]["modes"][m]["mean"] - by_engine["torch"]["modes"][m]["mean"]) for m in modes
        }
        summary["device_minus_torch_points"] = apart
        tables += "\n\ndevice - torch, points: " + ", ".join(f"{mode} {points:+.2f}" for mode, points in apart.items())
    write_whole(place / "table.md", (tables + "\n").encode())
    write_whole(place / "results.csv", to_csv(results).encode())
    write_whole(place / "summary.json", json.dumps(summary, indent=1).encode())
    figures = _figures(summary, modes, place)
    if as_json:
        print(json.dumps({**summary, "files": str(place)}))
    else:
        print(f"{tables}\n\n{place}: table.md, results.csv, summary.json{figures}")


def _figures(summary: dict[str, Any], modes: list[str], place: Path) -> str:
    try:
        from biotrain.evaluate.figures import draw_study
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        return "; no figures: they need matplotlib (pip install 'biotrain[evaluate]')"
    return "".join(f", {path.name}" for path in draw_study(summary, modes, place))


def _with_progress(jobs: list[Job], run: Any) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("jobs", total=len(jobs), last="")
        run(lambda done, of, name: progress.update(task, completed=done, last=name))
