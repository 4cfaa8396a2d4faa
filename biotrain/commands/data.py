"""`biotrain data`: what a folder of recordings holds, and a data set file for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from biotrain.data.inventory import Session

R = TypeVar("R")


def main(
    place: Annotated[Path, typer.Argument(help="A folder of recordings, or a data set's YAML file.")],
    write: Annotated[
        bool, typer.Option("--write", help="Keep the draft as dataset.yaml in the folder, if it has none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What recordings give for training: windows of each class, by person and session.

    A folder without a dataset.yaml gets a draft of one, from the headers of its EDF, BDF, GDF,
    FIF or BrainVision files: who, which channels, which events, how long. With --write it is
    kept; `pretrain`, `evaluate`, `demo` and `agent` take the folder from then on.

        biotrain data recordings
        biotrain data recordings --write
        biotrain data datasets/emg_forearm.yaml
    """
    from biotrain.data.draft import continuous_files, draft
    from biotrain.data.inventory import look_through
    from device_agent.sources.dataset import FILE_NAME, open_dataset, parse_dataset

    target = place / FILE_NAME
    if place.is_dir() and not target.is_file() and continuous_files(place):
        text = _with_progress("headers", lambda tell: draft(place, tell))
        dataset = parse_dataset(text, target)
        if write:
            _keep(target, text)
    else:
        if write:
            raise UserError(f"{place}: --write drafts a {FILE_NAME} for a folder of recordings that has none")
        text, dataset = "", open_dataset(place)
    rows = _with_progress("recordings", lambda tell: look_through(dataset, tell))
    if as_json:
        said = {"written": str(target) if write else None, "draft": text or None}
        print(json.dumps(said | {"sessions": [row.to_json() for row in rows]}))
    else:
        if text:
            print(text)
        _show(rows)
        if text:
            print(f"{target} written." if write else f"This is a draft; --write keeps it as {target}.")
    if not any(row.windows for row in rows):
        raise UserError(f"{place}: none of the {len(rows)} recordings can be used")


def _keep(target: Path, text: str) -> None:
    part = target.with_suffix(".yaml.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None


def _with_progress(what: str, run: Callable[[Callable[[int, int], None]], R]) -> R:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        return run(lambda done, of: progress.update(task, completed=done, total=of))


def _show(rows: list[Session]) -> None:
    from rich.console import Console
    from rich.table import Table

    classes = list(dict.fromkeys(name for row in rows for name in row.windows))
    table = Table("person", "session", *classes, "channels", "Hz", "window, s", box=None, header_style="bold")
    for row in rows:
        if row.problem:
            continue
        counts = [str(row.windows.get(name, 0)) for name in classes]
        length = f"{row.samples / row.sampling_rate_hz:g}"
        table.add_row(
            row.subject, str(row.session), *counts, str(len(row.channels)), f"{row.sampling_rate_hz:g}", length
        )
    Console().print(table)
    for name in classes:
        if not any(row.windows.get(name) for row in rows):
            print(f"{name}: no recording has a window of it; are its events written as in `classes`?")
    for row in rows:
        if row.problem:
            print(f"left out: {row.problem}")
