"""`biotrain homeassistant`: devices appear in Home Assistant by themselves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer


def main(
    broker: Annotated[str, typer.Option(help="The MQTT broker, HOST:PORT; port 8884 with --identity, else 1883.")] = (
        "127.0.0.1"
    ),
    identity: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `biotrain certs issue supervisor`: the connection is TLS then.", envvar="BIOTRAIN_IDENTITY"
        ),
    ] = None,
    site: Annotated[str | None, typer.Option(help="Announce this site only; every site of the broker without.")] = None,
    prefix: Annotated[str, typer.Option(help="Home Assistant's discovery prefix.")] = "homeassistant",
    commands: Annotated[bool, typer.Option("--commands", help="With buttons: adapt now, roll back.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the devices out of Home Assistant again.")] = False,
    username: Annotated[str | None, typer.Option(help="User at the broker.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Password at the broker.", envvar="BIOTRAIN_BROKER_PASSWORD", show_envvar=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each device.")] = False,
) -> None:
    """Announce every device by MQTT discovery: state, accuracy, drift, faults, battery. Optional.

    Home Assistant reads the devices' own topics on the same broker. Leave it running, so that new
    devices appear; what was announced is retained. The account needs to write PREFIX/#.

    Example:

        biotrain homeassistant --broker 127.0.0.1:1883 --commands
    """
    from biotrain.commands._stopping import run_until_stopped
    from biotrain.homeassistant.announce import announce
    from biotrain.logging import configure_logging
    from messaging import BrokerSettings, ClientIdentity
    from messaging.settings import DEFAULT_PORT, SUPERVISOR_PORT, parse_address

    configure_logging("warning")
    secret = None if identity is None else ClientIdentity.load(identity)
    host, port = parse_address(broker, default_port=DEFAULT_PORT if secret is None else SUPERVISOR_PORT)
    settings = BrokerSettings(
        host=host, port=port, client_id="biotrain-homeassistant", username=username, password=password, identity=secret
    )

    def told(device: str, entities: int) -> None:
        verb = "removed" if remove else "announced"
        print(json.dumps({"device": device, verb: entities}) if as_json else f"{device}: {entities} {verb}", flush=True)

    async def run(stop: asyncio.Event) -> None:
        await announce(settings, stop, prefix=prefix, site=site, commands=commands, remove=remove, told=told)

    run_until_stopped(run)
