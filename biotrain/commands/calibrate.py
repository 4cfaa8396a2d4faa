"""`biotrain calibrate`: cues for a person, and a labelled session of what they did."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from device_agent.cueing.protocol import Protocol, Trial
    from device_agent.cueing.session import Conductor


def main(
    protocol: Annotated[Path, typer.Argument(help="The protocol, a YAML file; docs/sources.md has one.")],
    subject: Annotated[str | None, typer.Option(help="Who looks at the cues.")] = None,
    session: Annotated[int | None, typer.Option(min=0, help="Number of the session.")] = None,
    source: Annotated[str, typer.Option(help="Where the signal comes from: lsl, brainflow, biogap, ...")] = "lsl",
    stream: Annotated[str | None, typer.Option(help="The stream or board, as `biotrain agent` takes it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for SUBJECT_sessionN.npz and its list of cues.")] = Path(),
    page: Annotated[
        str | None, typer.Option(help="Show cues on a page in the browser, HOST:PORT; else in the terminal.")
    ] = None,
    markers: Annotated[str | None, typer.Option(help="Tell cues to others as an LSL stream of this name.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read the protocol, and say what it would do.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines: when it is ready, and the result.")] = False,
) -> None:
    """Show cues, time them, send markers, and write a session that `agent`, `pretrain` and `evaluate` take.

    Ctrl-C ends it; what was recorded until then is written.

    Example:

        biotrain calibrate protocol.yaml --subject anna --session 1 --stream EOG --page 127.0.0.1:8090
        biotrain calibrate protocol.yaml --subject anna --session 1 --source brainflow --stream synthetic
    """
    from device_agent.cueing.protocol import read_protocol
    from device_agent.recorder.files import check_target
    from schemas.errors import UserError

    asked = read_protocol(protocol)
    if check:
        _say(_summary(asked), as_json)
        return
    if subject is None or session is None:
        raise UserError("whose session is it? Add --subject NAME and --session NUMBER, or --check to read the protocol")
    file = out / f"{subject}_session{session}.npz"
    check_target(file)
    if file.exists():
        raise UserError(f"{file}: there is such a session: choose another --session, or move it away")
    asyncio.run(_run(asked, subject, session, file, source, stream, page, markers, as_json))


async def _run(
    protocol: Protocol, subject: str, session: int, file: Path, source: str, stream: str | None, page: str | None,
    markers: str | None, as_json: bool,
) -> None:  # fmt: skip
    import signal

    from device_agent.cueing.display import Display, TerminalDisplay
    from device_agent.cueing.markers import MarkerOutlet
    from device_agent.cueing.page import PageDisplay
    from device_agent.cueing.session import Conductor
    from device_agent.sources.registry import open_samples
    from messaging.settings import parse_address

    samples = open_samples(source, stream)
    display: Display = TerminalDisplay() if page is None else PageDisplay(*parse_address(page, what="--page"))
    outlet = None if markers is None else MarkerOutlet(markers)
    conductor = Conductor(
        protocol, samples, display, mark=outlet.push if outlet is not None else lambda label, seen_s: None
    )
    where = await display.open()
    _say({"ready": True, "page": where} if as_json else f"cues are shown on {where}", as_json)

    def told(trial: Trial, of: int) -> None:
        if page is not None and not as_json:
            print(f"{trial.number:4d} of {of}  {trial.label}", flush=True)

    task = asyncio.ensure_future(conductor.run(told))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        pass
    finally:
        await display.close()
        if conductor.session.windows:
            _say(_write(conductor, protocol, subject, session, file), as_json)


def _write(conductor: Conductor, protocol: Protocol, subject: str, session: int, file: Path) -> dict[str, Any]:
    """The session, and beside it when each cue was seen and where its window begins."""
    from biotrain.files import write_whole
    from device_agent.recorder.session_file import save_session

    made = conductor.session
    save_session(file, made.recording(protocol, subject, session))
    cues = file.with_suffix(".cues.json")
    said = {
        "protocol": protocol.model_dump(mode="json"),
        "cues": [{"trial": s.trial, "class": s.label, "seen": s.seen_s} for s in made.shown],
        "windows": [
            {"ends": w.time_s, "first_sample": w.sample, "class": protocol.classes[w.label or 0]} for w in made.windows
        ],
        "lost_samples": made.lost_samples,
        "lost_windows": made.lost_windows,
    }
    write_whole(cues, (json.dumps(said, indent=1) + "\n").encode(), mode=0o600)
    return {
        "session": str(file),
        "cues_file": str(cues),
        "cues": len(made.shown),
        "windows": len(made.windows),
        "lost_windows": made.lost_windows,
        "lost_samples": made.lost_samples,
    }


def _summary(protocol: Protocol) -> dict[str, Any]:
    from device_agent.cueing.protocol import trials

    course, timing = trials(protocol), protocol.timing
    long = sum(trial.breaks for trial in course) * (protocol.breaks.length_s if protocol.breaks else 0.0)
    seconds = sum(timing.ready_s + timing.cue_s + trial.rest_s for trial in course) + long
    return {
        "name": protocol.name, "classes": list(protocol.classes), "cues": len(course),
        "samples_per_window": protocol.samples, "minutes": round(seconds / 60, 1),
    }  # fmt: skip


def _say(what: dict[str, Any] | str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(what), flush=True)
    elif isinstance(what, str):
        print(what, flush=True)
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in what.items()), flush=True)
