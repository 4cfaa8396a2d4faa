"""`biotrain export`: telemetry, events and sums of a supervisor's store as CSV or Parquet files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    """Of the files that are written."""

    CSV = "csv"
    PARQUET = "parquet"
    TENSORBOARD = "tensorboard"


def main(
    store: Annotated[str, typer.Option(help="The database: sqlite:///FILE, or postgresql://USER@HOST/NAME.")] = (
        "sqlite:///biotrain.db"
    ),
    out: Annotated[Path, typer.Option(help="Folder to write into; made when it is not there.")] = Path("export"),
    form: Annotated[
        Form, typer.Option("--format", help="csv; parquet, or tensorboard: adaptations as event files.")
    ] = Form.CSV,
    only: Annotated[list[str] | None, typer.Option(help="telemetry, drift, ...; repeatable; all without.")] = None,
    since: Annotated[datetime | None, typer.Option(help="What arrived from then on, UTC.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON object.")] = False,
) -> None:
    """Write a store's rows as files, one for each kind. The supervisor may go on meanwhile.

    Example:

        biotrain export --store sqlite:///biotrain.db --format parquet --only telemetry --out export
        biotrain export --store sqlite:///biotrain.db --format tensorboard --out runs
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from schemas.errors import UserError
    from service.export import NOUNS, export

    for name in only or ():
        if name not in NOUNS:
            raise UserError(f"--only {name}: there are {', '.join(NOUNS)}")
    from_then = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        counts = export(
            store, out, form.value, only or list(NOUNS), since=from_then, progress=lambda rows: bar.advance(task, rows)
        )
    if as_json:
        print(json.dumps({"folder": str(out), "rows": counts}))
    else:
        ending = "" if form is Form.TENSORBOARD else f".{form}"
        print("\n".join(f"{count:>12,}  {out / name}{ending}" for name, count in counts.items()))
