"""`biotrain broker`: an MQTT broker for trying things out, Mosquitto where there is one, amqtt elsewhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Engine(StrEnum):
    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    AMQTT = "amqtt"


def main(
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:1883",
    engine: Annotated[Engine, typer.Option(help="auto takes Mosquitto where it is installed.")] = Engine.AUTO,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder for sessions and retained messages (Mosquitto only).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout when it is ready.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run an MQTT broker. Anyone who reaches the address may use it: for loopback and for trying things out.

    For a fleet, run Mosquitto with a configuration of its own: see deploy/README.md.

    Example:

        biotrain broker --listen 127.0.0.1:1883
    """
    from biotrain.broker import amqtt, mosquitto
    from biotrain.broker.port import choose_port
    from biotrain.logging import configure_logging
    from messaging.settings import parse_address

    configure_logging(log_level)
    host, port = choose_port(*parse_address(listen, what="--listen"))
    binary = None if engine is Engine.AMQTT else mosquitto.find(required=engine is Engine.MOSQUITTO)
    if binary is not None:
        mosquitto.become(binary, host, port, state_dir=state_dir, as_json=as_json)
    else:
        amqtt.run(host, port, as_json=as_json)
