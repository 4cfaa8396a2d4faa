"""`biotrain broker`: an MQTT broker for trying things out, Mosquitto where there is one, amqtt elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer


class Engine(StrEnum):
    """`auto`: Mosquitto where it is installed, else amqtt from the same Python."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    AMQTT = "amqtt"


def main(
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:1883",
    engine: Annotated[Engine, typer.Option(help="auto takes Mosquitto where it is installed.")] = Engine.AUTO,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder for sessions and retained messages (Mosquitto only).")
    ] = None,
    certs: Annotated[
        Path | None,
        typer.Option(help="The broker's folder of `biotrain certs`: TLS, and only for holders of a certificate."),
    ] = None,
    supervisors: Annotated[
        str, typer.Option(help="With --certs: where supervisors connect, HOST:PORT; devices use --listen.")
    ] = "127.0.0.1:8884",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout when it is ready.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run an MQTT broker. Without --certs anyone who reaches the address may use it: for loopback.

    For a fleet, run Mosquitto as a service: see deploy/README.md.

    Example:

        biotrain broker --listen 127.0.0.1:1883
        biotrain broker --listen 0.0.0.0:8883 --certs certs/broker
    """
    from biotrain.broker import amqtt, mosquitto
    from biotrain.broker.port import choose_port, ready_line
    from biotrain.logging import configure_logging
    from messaging.settings import parse_address
    from schemas.errors import UserError

    configure_logging(log_level)
    host, port = choose_port(*parse_address(listen, what="--listen"))
    if certs is not None:
        if engine is Engine.AMQTT:
            raise UserError("--certs needs Mosquitto: leave --engine amqtt out")
        _become_closed(certs.absolute(), (host, port), supervisors, state_dir, as_json)
    binary = None if engine is Engine.AMQTT else mosquitto.find(required=engine is Engine.MOSQUITTO)
    if binary is not None:
        text = mosquitto.configuration(host, port, state_dir)
        line = ready_line(host, port, engine="mosquitto", as_json=as_json)
        mosquitto.become(binary, host, port, configuration=text, ready=line)
    else:
        amqtt.run(host, port, as_json=as_json)


def _become_closed(
    certs: Path, devices: tuple[str, int], supervisors: str, state_dir: Path | None, as_json: bool
) -> NoReturn:
    import getpass

    from biotrain.broker import mosquitto
    from biotrain.broker.port import choose_port, ready_line
    from biotrain.trust.broker import configuration
    from messaging.settings import SUPERVISOR_PORT, parse_address

    binary = mosquitto.find(required=True)
    assert binary is not None
    second = choose_port(*parse_address(supervisors, what="--supervisors", default_port=SUPERVISOR_PORT))
    if state_dir is not None:
        mosquitto.make_state_dir(state_dir)
    text = configuration(
        certs,
        devices=devices,
        supervisors=second,
        state_dir=None if state_dir is None else state_dir.absolute(),
        # As root it would become another user, and not be able to read its files.
        user=getpass.getuser(),
    )
    line = ready_line(*devices, engine="mosquitto", as_json=as_json, supervisors=second)
    mosquitto.become(binary, *second, configuration=text, ready=line)
