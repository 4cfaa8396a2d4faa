"""`biotrain agent`: the process beside the wearable."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from schemas.errors import UserError


def main(
    wearable: Annotated[
        str,
        typer.Option(
            help="tcp://HOST:PORT, serial:///dev/..., ble://NAME, or `local`: the device's engine in this process."
        ),
    ] = ("local"),
    broker: Annotated[str, typer.Option(help="MQTT broker, HOST:PORT; port 8883 with --identity, else 1883.")] = (
        "127.0.0.1"
    ),
    identity: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `biotrain certs issue device`: the connection is TLS then.", envvar="BIOTRAIN_IDENTITY"
        ),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help="Where the device belongs, a level of its topics; the certificate's, or home."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="The device's name, a level of its topics; the certificate's, or wearable.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Obey this group's commands, too (repeat it; every device is in `all`).")
    ] = None,
    wearables: Annotated[
        Path | None,
        typer.Option(help="Several at once: a JSON list, each with device, wearable and what else differs."),
    ] = None,
    wearer: Annotated[
        str | None, typer.Option(help="Who wears it: the device serves, and adapts, that person's weights.")
    ] = None,
    state_dir: Annotated[Path, typer.Option(help="Holds the outbox and what must survive a restart.")] = Path(
        "agent-state"
    ),
    key_file: Annotated[
        Path | None, typer.Option(help="64 hexadecimal digits: what waits in --state-dir is encrypted with them.")
    ] = None,
    outbox_quota: Annotated[
        float, typer.Option(help="MB for messages that nobody has stored; above it telemetry is thinned, no event.")
    ] = 64.0,
    trusted_keys: Annotated[
        Path | None, typer.Option(help="The site's trusted.keys: only what they have signed goes to the wearable.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Written to the wearable when it holds another.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Written to the wearable when a new stream begins.")] = None,
    source: Annotated[str, typer.Option(help="Where windows come from; docs/sources.md has all.")] = "simulator",
    data: Annotated[Path | None, typer.Option(help="Recordings: a folder of SUBJECT_sessionN.npz files.")] = None,
    subject: Annotated[str | None, typer.Option(help="Recordings: the person.")] = None,
    sessions: Annotated[str | None, typer.Option(help="Which sessions to stream, e.g. 2-8 or 1,3.")] = None,
    calibrate_session: Annotated[int | None, typer.Option(help="Tune to this session's windows first.")] = None,
    calibrate_windows: Annotated[
        int | None, typer.Option(help="Only the first so many of them; the others are streamed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Simulator: which person.")] = 1,
    trials: Annotated[int, typer.Option(help="Simulator: windows in a session.")] = 220,
    stream: Annotated[str | None, typer.Option(help="Live sources: the stream or board, see docs/sources.md.")] = None,
    markers: Annotated[str | None, typer.Option(help="lsl: the stream of markers.")] = None,
    hop: Annotated[
        float | None, typer.Option(help="Live sources: a window every so many seconds; else one at each marker.")
    ] = None,
    start: Annotated[float, typer.Option(help="Live sources: seconds from a marker to its window.")] = 0.0,
    label_delay: Annotated[float, typer.Option(help="Seconds of signal time from a window to its label.")] = 0.0,
    label_share: Annotated[float, typer.Option(help="Share of the windows that ever get their label.")] = 1.0,
    speed: Annotated[float, typer.Option(help="Times real time.")] = 1.0,
    queue_windows: Annotated[int, typer.Option(help="Windows that may wait before the oldest is lost.")] = 32,
    compare_frozen: Annotated[
        bool, typer.Option("--compare-frozen", help="Run a copy that never adapts beside it, and publish both.")
    ] = False,
    predictions: Annotated[
        list[str] | None, typer.Option(help="Tell predictions here: ws://HOST:PORT or lsl:NAME (repeat it).")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Keep what is streamed: FILE.edf or .bdf with annotations, SUBJECT_sessionN.npz for labels."),
    ] = None,
    adapt: Annotated[str, typer.Option(help="auto, or never: watch only (commands still adapt).")] = "auto",
    detector: Annotated[str, typer.Option(help="Drift detector on errors: page-hinkley, or one of river's.")] = (
        "page-hinkley"
    ),
    risk: Annotated[float, typer.Option(help="Commit only if the test on held-out windows has p at most this.")] = 0.05,
    hours: Annotated[
        list[str] | None, typer.Option(help="Adapt only then, HH:MM-HH:MM local time (repeat it).")
    ] = None,
    only_charging: Annotated[bool, typer.Option("--only-charging", help="Adapt only on the charger.")] = False,
    min_battery: Annotated[float, typer.Option(help="Least charge for an adaptation off the charger, 0 to 1.")] = 0.0,
    max_temperature: Annotated[float | None, typer.Option(help="Of the wearable, °C: no adaptation above it.")] = None,
    long_steps: Annotated[
        int, typer.Option(help="Fits with fewer optimiser steps wait for neither hours nor charger.")
    ] = 0,
    conditions: Annotated[
        Path | None, typer.Option(help="JSON file with battery, charging, temperature_c, where the wearable is silent.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of one adaptation to drift.")] = 10,
    telemetry_period: Annotated[float, typer.Option(help="Seconds between telemetry messages.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line when ready, one with the totals.")] = False,
) -> None:
    """Stream windows, watch them for drift, adapt the model on the wearable, publish what happens.

    Everything it has to say is kept in --state-dir until a supervisor has stored it. Started again
    with the same options, it carries on where the stream is by now.

        biotrain agent --wearable tcp://127.0.0.1:7000 --source recordings --data emg_forearm
            --subject U1 --calibrate-session 1 --sessions 2-8 --speed 200
    """
    from biotrain.logging import configure_logging
    from device_agent.settings import AgentSettings
    from device_agent.sources.recording import parse_sessions

    configure_logging()
    try:
        settings = AgentSettings.model_validate(
            {
                "wearable": wearable,
                "broker": broker,
                "identity": identity,
                **_names(identity, site, device),
                "groups": tuple(group or ()),
                "wearer": wearer or (subject if source == "recordings" else None),
                "state_dir": state_dir,
                "outbox_quota_mb": outbox_quota,
                "key_file": key_file,
                "trusted_keys": trusted_keys,
                "plan": plan,
                "weights": weights,
                "source": source,
                "data": data,
                "subject": subject,
                "sessions": None if sessions is None else parse_sessions(sessions),
                "calibrate_session": calibrate_session,
                "calibrate_windows": calibrate_windows,
                "seed": seed,
                "trials": trials,
                "stream": stream,
                "markers": markers,
                "hop_s": hop,
                "start_s": start,
                "label_delay_s": label_delay,
                "label_share": label_share,
                "speed": speed,
                "queue_windows": queue_windows,
                "compare_frozen": compare_frozen,
                "predictions": tuple(predictions or ()),
                "record": record,
                "adapt": adapt,
                "detector": detector,
                "risk": risk,
                "occasion": {
                    "hours": tuple(hours or ()),
                    "only_charging": only_charging,
                    "min_battery": min_battery,
                    "max_temperature_c": max_temperature,
                    "long_steps": long_steps,
                },
                "conditions": conditions,
                "fit": {"epochs": epochs},
                "telemetry_period_s": telemetry_period,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        parts = [part for part in first["loc"] if isinstance(part, str) and part not in ("occasion", "fit")]
        option = "--" + re.sub(r"_(s|c|mb)$", "", "-".join(parts)).replace("_", "-")
        said = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{option}: {said} (given: {first['input']!r})") from None
    asyncio.run(_run(settings, wearables, as_json))


def _names(identity: Path | None, site: str | None, device: str | None) -> dict[str, str]:
    """Site and device: as given, as in the certificate, or the defaults."""
    from messaging import ClientIdentity

    given = {"site": site, "device": device}
    known: dict[str, str] = {}
    if identity is not None:
        mine = ClientIdentity.load(identity)
        known = {"site": mine.site, "device": mine.principal.name}
    return known | {name: value for name, value in given.items() if value is not None}


async def _run(settings: Any, wearables: Path | None, as_json: bool) -> None:
    from biotrain.watchdog import keep_saying, notify
    from device_agent.several import read_wearables, run_agents
    from device_agent.start import run_agent

    def ready(line: dict[str, Any]) -> None:
        _say(line, as_json)
        notify("READY=1")

    watchdog = asyncio.create_task(keep_saying(), name="watchdog")
    running = (
        run_agent(settings, ready=ready)
        if wearables is None
        else run_agents(read_wearables(wearables, settings), ready=ready)
    )
    task = asyncio.ensure_future(running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        totals = await task
    except asyncio.CancelledError:
        return
    finally:
        watchdog.cancel()
    _say(totals, as_json)


def _say(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(line), flush=True)
    elif line.get("ready"):
        print(f"agent of {line['device']} is running", flush=True)
    else:
        print(json.dumps(line, indent=2), flush=True)
