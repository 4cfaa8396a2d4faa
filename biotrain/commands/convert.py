"""`biotrain convert`: a spool of windows that an agent has left behind, as a file for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def main(
    spool: Annotated[Path, typer.Argument(help="FILE.spool, which `biotrain agent --record FILE` was writing.")],
    out: Annotated[Path, typer.Argument(help="FILE.edf or FILE.bdf (EDF+, BDF+), or SUBJECT_sessionN.npz.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON object.")] = False,
) -> None:
    """Write what was streamed as EDF+, BDF+ or a session, whatever became of the agent that recorded it.

    Annotations hold labels, predictions, drift, and parts that nobody recorded (BAD_gap).

    Example:

        biotrain convert monday.bdf.spool monday.edf
    """
    from device_agent.recorder.files import write_recording

    write_recording(spool, out)
    print(json.dumps({"file": str(out), "bytes": out.stat().st_size}) if as_json else f"{out} written")
