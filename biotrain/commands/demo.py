"""`biotrain demo`: all of it at once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from biotrain.riscv.port import Port
from schemas.errors import UserError


def main(
    data: Annotated[Path | None, typer.Option(help="Folder of recordings instead of the simulator.")] = None,
    subject: Annotated[str | None, typer.Option(help="Whose recordings; the others are pre-trained on.")] = None,
    calibrate_session: Annotated[int, typer.Option(min=0, help="The session that is calibrated on first.")] = 1,
    sessions: Annotated[str | None, typer.Option(help="Sessions to stream, e.g. 2-8; by default all others.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.1, help="Times real time; 50 simulated, 300 recorded; less for riscv.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which simulated wearer.")] = 1,
    trials: Annotated[int, typer.Option(min=22, help="Trials in a simulated session.")] = 220,
    port: Annotated[
        Port, typer.Option(help="What the wearable runs on: this computer, or an emulated RISC-V machine.")
    ] = Port.HOST,
    headless: Annotated[bool, typer.Option("--headless", help="No live table.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the page up at the end, until Ctrl-C.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where database, logs and state go and stay; else a temporary folder.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where pre-trained models are kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Broker, supervisor, virtual wearable and agent as processes of their own, on one person's sessions.

    A model of other people is calibrated to the person, the signal drifts, the wearable fine-tunes its whole network,
    and the page shows it all. A process that dies is started again; at the end logs and database are compared.

    Example:

        biotrain demo
        biotrain demo --data recordings/emg --subject U1 --headless --json
        biotrain demo --port riscv
    """
    from biotrain.demo.run import run_demo
    from biotrain.demo.settings import DemoSettings, check_choice
    from biotrain.demo.summary import in_words
    from biotrain.logging import configure_logging

    configure_logging("warning")
    check_choice(data, subject)
    place = folder.resolve() if folder else Path(tempfile.mkdtemp(prefix="biotrain-demo-"))
    settings = DemoSettings(
        folder=place,
        data=data.resolve() if data else None,
        subject=subject,
        calibrate_session=calibrate_session,
        sessions=sessions,
        speed=speed,
        seed=seed,
        trials=trials,
        cache=cache.resolve() if cache else None,
        riscv=port is Port.RISCV,
    )
    try:
        summary = asyncio.run(run_demo(settings, headless=headless, keep=keep))
    except asyncio.CancelledError:
        _tidy(place, folder)
        print("biotrain: the demo was stopped", file=sys.stderr)
        raise typer.Exit(130) from None
    except UserError:
        if not any(place.glob("logs/*")):  # nothing has run yet: there is nothing to look at
            _tidy(place, folder)
        raise
    print(json.dumps(summary) if as_json else in_words(summary))
    if summary["check"]["problems"]:
        print(f"biotrain: events are missing or doubled; all files are in {place}", file=sys.stderr)
        raise typer.Exit(1)
    _tidy(place, folder)


def _tidy(place: Path, named: Path | None) -> None:
    if named is None:
        shutil.rmtree(place, ignore_errors=True)
