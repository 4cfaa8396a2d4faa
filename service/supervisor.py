"""Puts the parts together, and takes them apart again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from messaging import Broker
from schemas.base import utc_now
from schemas.errors import UserError
from schemas.topics import FROM_DEVICE, fleet_filter
from service.alert_desk import AlertDesk
from service.announce import Announcer
from service.api.app import build_app
from service.api.context import Context
from service.commands import CommandDesk
from service.feed import Feed, LiveEvent
from service.hook_thread import HookThread
from service.hooks import find_hooks
from service.ingest import Ingest
from service.presence import PresenceGuard
from service.server import Server, build_server, listen, url_of
from service.settings import SupervisorSettings
from service.store.alert_rows import Channels
from service.store.batch import Written
from service.store.database import Database
from service.webhook import make_webhook

_log = structlog.get_logger("service")

#: A broker that is there takes less time to tell whether another supervisor is, and to connect; one that is not
#: there is not waited for.
_CONNECT_S = 3.0


def client_id(site: str | None) -> str:
    """The same for every supervisor of a site: the broker keeps one session, and one supervisor serves it."""
    return f"biotrain-supervisor-{site or 'all'}"


async def run_supervisor(settings: SupervisorSettings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Until `stop` is set. `ready` is called with the page's address. Raises UserError for what can be mended."""
    try:
        async with AsyncExitStack() as stack:
            await _run(settings, stop, ready, stack)
    except BaseExceptionGroup as group:
        mendable = group.subgroup(UserError)
        if mendable is not None:
            raise _first(mendable) from None
        raise


async def _run(
    settings: SupervisorSettings, stop: asyncio.Event, ready: Callable[[str], None], stack: AsyncExitStack
) -> None:
    hooks = find_hooks(settings.hooks)
    sock = stack.enter_context(listen(settings.host, settings.port))
    database = await stack.enter_async_context(Database(settings.store))
    threads = [HookThread(hook, settings.hook_timeout_s) for hook in hooks]
    for thread in threads:
        stack.callback(thread.close)

    subscriptions = [fleet_filter(kind, settings.site or "+") for kind in FROM_DEVICE]
    broker = Broker(settings.broker, subscriptions=subscriptions)
    presence = PresenceGuard(settings.broker)
    feed = Feed()
    announcer = Announcer(broker)
    webhooks = [make_webhook(url, settings.webhook_secret, settings.hook_timeout_s) for url in settings.webhooks]
    channels = Channels(tuple(hook.name for hook in hooks), tuple(webhook.url for webhook in webhooks))
    desk = AlertDesk(database, broker, threads, webhooks)

    def on_written(written: Written) -> None:
        feed.publish(
            LiveEvent(new.id, new.arrived.kind.value, *new.arrived.device, new.arrived.payload)
            for new in written.messages
        )
        if written.alerts:
            feed.publish(
                LiveEvent(0, "alert", new.alert.site, new.alert.device, new.alert.to_json().decode())
                for new in written.alerts
            )
            desk.wake()

    ingest = Ingest(
        broker,
        database,
        announcer,
        channels=channels,
        on_written=on_written,
        batch_messages=settings.batch_messages,
        batch_linger_s=settings.batch_linger_s,
    )
    context = Context(
        database=database,
        broker=broker,
        ingest=ingest,
        commands=CommandDesk(database, broker),
        feed=feed,
        site=settings.site,
        started=utc_now(),
        hooks=tuple(hook.name for hook in hooks),
    )
    server = build_server(build_app(context))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(presence.run(), name="presence")]
        tasks += [
            group.create_task(_take_in(presence, broker, ingest, announcer, desk), name="ingest"),
            group.create_task(server.serve(sockets=[sock]), name="web"),
        ]
        connected = asyncio.create_task(broker.next_connection())
        stopped = asyncio.create_task(stop.wait())
        stack.callback(connected.cancel)
        stack.callback(stopped.cancel)
        await asyncio.wait((connected, stopped), timeout=_CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        url = url_of(sock)
        _log.info("supervisor is running", url=url, broker=broker.address, store=settings.store, site=settings.site)
        ready(url)
        await stopped
        await _end(tasks, server, feed)


async def _take_in(
    presence: PresenceGuard, broker: Broker, ingest: Ingest, announcer: Announcer, desk: AlertDesk
) -> None:
    """Takes up the client id only when no other supervisor has it."""
    await presence.free.wait()
    async with broker, asyncio.TaskGroup() as group:
        group.create_task(ingest.run(), name="take in")
        group.create_task(announcer.run(), name="announce")
        group.create_task(desk.run(), name="alerts")


async def _end(tasks: list[asyncio.Task[None]], server: Server, feed: Feed) -> None:
    """The web server may finish its answers; everything else can be cut at any point."""
    feed.close()
    server.should_exit = True
    for task in tasks:
        if task.get_name() != "web":
            task.cancel()
    _log.info("supervisor has been stopped")


def _first(group: BaseExceptionGroup[UserError]) -> UserError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
