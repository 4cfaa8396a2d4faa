"""`biotrain supervisor`: stores what the fleet publishes, raises alerts, shows the live page."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from messaging import ClientIdentity


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
    store: Annotated[str, typer.Option(help="The database; for now an SQLite file.")] = "sqlite:///biotrain.db",
    listen: Annotated[str, typer.Option(help="Where page and REST interface are served; port 0 takes a free one.")] = (
        "127.0.0.1:8000"
    ),
    site: Annotated[str | None, typer.Option(help="Watch this site only; every site of the broker without.")] = None,
    hook: Annotated[
        list[str] | None, typer.Option(help="module:function, an async function called with each alert; repeatable.")
    ] = None,
    hook_timeout: Annotated[float, typer.Option(help="Seconds that a hook may take.", min=0.1, max=3600)] = 10.0,
    username: Annotated[str | None, typer.Option(help="User at the broker.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Password at the broker.", envvar="BIOTRAIN_BROKER_PASSWORD", show_envvar=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout when it is ready.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Store what the fleet publishes, raise alerts, and show it on a live page.

    It needs a broker, and waits for one that is not there. Stop it with Ctrl-C; nothing is lost.

    Example:

        biotrain supervisor --broker 127.0.0.1:1883 --store sqlite:///biotrain.db --hook my_hooks:send_mail
    """
    from biotrain.commands._stopping import run_until_stopped
    from biotrain.logging import configure_logging
    from messaging import BrokerSettings
    from messaging.settings import DEFAULT_PORT, SUPERVISOR_PORT, parse_address
    from schemas.errors import UserError
    from schemas.topics import GroupTopic, TopicError
    from service.settings import SupervisorSettings
    from service.supervisor import client_id, run_supervisor

    configure_logging(log_level)
    if site is not None:
        try:
            str(GroupTopic(site, "all"))
        except TopicError as error:
            raise UserError(str(error)) from None
    secret = None if identity is None else _load_identity(identity, site)
    site = site if secret is None else secret.site
    broker_host, broker_port = parse_address(broker, default_port=DEFAULT_PORT if secret is None else SUPERVISOR_PORT)
    host, port = parse_address(listen, what="--listen", default_port=8000)
    # Hooks named on the command line are looked for in the folder where it is run.
    sys.path.insert(0, str(Path.cwd()))
    settings = SupervisorSettings(
        broker=BrokerSettings(
            host=broker_host,
            port=broker_port,
            client_id=client_id(site),
            username=username,
            password=password,
            identity=secret,
        ),
        store=store,
        host=host,
        port=port,
        site=site,
        hooks=tuple(hook or ()),
        hook_timeout_s=hook_timeout,
    )

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"ready": True, "url": url, "broker": broker, "store": store}), flush=True)
        else:
            print(f"The page is at {url}", flush=True)

    async def run(stop: asyncio.Event) -> None:
        await run_supervisor(settings, stop, ready)

    run_until_stopped(run)


def _load_identity(folder: Path, site: str | None) -> ClientIdentity:
    """A supervisor that may not acknowledge would let every outbox of the site fill up; so it is said here."""
    from messaging import ClientIdentity
    from schemas.errors import UserError
    from schemas.principal import Role

    identity = ClientIdentity.load(folder)
    if identity.principal.role is not Role.SUPERVISOR:
        raise UserError(
            f"{folder}: the certificate is one of {identity.principal}, which may not do a supervisor's work: make one "
            "with `biotrain certs issue supervisor NAME`"
        )
    if site not in (None, identity.site):
        raise UserError(f"{folder}: the certificate is one of site {identity.site}, and --site says {site}")
    return identity
