"""`biotrain supervisor`: stores what the fleet publishes, raises alerts, shows the live page."""

from __future__ import annotations

import asyncio
import gc
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
    store: Annotated[
        str, typer.Option(help="The database: sqlite:///FILE, or postgresql://USER@HOST/NAME.")
    ] = "sqlite:///biotrain.db",
    listen: Annotated[str, typer.Option(help="Where page and REST interface are served; port 0 takes a free one.")] = (
        "127.0.0.1:8000"
    ),
    site: Annotated[str | None, typer.Option(help="Watch this site only; every site of the broker without.")] = None,
    hook: Annotated[
        list[str] | None, typer.Option(help="module:function, an async function called with each alert; repeatable.")
    ] = None,
    hook_timeout: Annotated[float, typer.Option(help="Seconds that a hook may take.", min=0.1, max=3600)] = 10.0,
    webhook: Annotated[
        list[str] | None, typer.Option(help="http(s)://... that alerts are posted to as CloudEvents; repeatable.")
    ] = None,
    webhook_secret: Annotated[
        str | None, typer.Option(help="Signs the webhooks.", envvar="BIOTRAIN_WEBHOOK_SECRET", show_envvar=True)
    ] = None,
    admin_token: Annotated[
        str | None,
        typer.Option(
            help="The first token; with it every request needs one.", envvar="BIOTRAIN_ADMIN_TOKEN", show_envvar=True
        ),
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Serve other machines without tokens: something in front of it asks.")
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: page and REST interface are served over TLS; a renewed one is taken up by itself."
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of the certificate's key, when it is in a file of its own.")
    ] = None,
    requests_per_s: Annotated[
        float,
        typer.Option(
            help="Requests a second of one token, where tokens are asked for; four times as many at once.", min=0.1
        ),
    ] = 50.0,
    instance: Annotated[
        str | None,
        typer.Option(help="A name of its own for each supervisor that shares broker and PostgreSQL with others."),
    ] = None,
    silent_after: Annotated[float, typer.Option(help="Seconds after which a device is silent.", min=1)] = 60.0,
    keep_days: Annotated[
        float | None, typer.Option(help="Days that telemetry is kept in full; for good without.", min=0.001)
    ] = None,
    gap_delay: Annotated[float, typer.Option(help="Seconds before a missing message is asked for.", min=0.5)] = 30.0,
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
    from biotrain.watchdog import notify
    from messaging import BrokerSettings
    from messaging.settings import DEFAULT_PORT, SUPERVISOR_PORT, parse_address
    from schemas.errors import UserError
    from schemas.topics import GroupTopic, TopicError
    from service.settings import SupervisorSettings
    from service.store.place import store_name
    from service.supervisor import client_id, run_supervisor

    configure_logging(log_level)
    for option, name in (("--site", site), ("--instance", instance)):
        try:
            str(GroupTopic(name or "any", "all"))
        except TopicError as error:
            raise UserError(f"{option}: {error}") from None
    if key is not None and certificate is None:
        raise UserError("--key belongs to a certificate: add --certificate FILE")
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
            client_id=client_id(site, instance),
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
        webhooks=tuple(webhook or ()),
        webhook_secret=webhook_secret,
        instance=instance,
        admin_token=admin_token or None,
        open_to_all=open_to_all,
        certificate=certificate,
        key=key,
        requests_per_s=requests_per_s,
        silent_after_s=silent_after,
        gap_delay_s=gap_delay,
        keep_days=keep_days,
    )

    def ready(url: str) -> None:
        if as_json:
            print(json.dumps({"ready": True, "url": url, "broker": broker, "store": store_name(store)}), flush=True)
        else:
            print(f"The page is at {url}", flush=True)
        notify("READY=1")

    async def run(stop: asyncio.Event) -> None:
        await run_supervisor(settings, stop, ready)

    # What is in flight are many small objects without cycles: looking through them all at every turn would take a third
    # of the time of ingest. What was imported stays anyway.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    # The thread that writes wants the interpreter back after each statement: at Python's 5 ms it would wait longer for
    # it, a dozen times in every batch, than its statements take.
    sys.setswitchinterval(0.0005)
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
