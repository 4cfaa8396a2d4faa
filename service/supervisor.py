"""Puts the parts together, and takes them apart again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from messaging import Broker
from schemas.base import utc_now
from schemas.errors import UserError
from schemas.topics import FROM_DEVICE, UNNUMBERED, fleet_filter
from service.alert_desk import AlertDesk
from service.announce import Announcer
from service.api.app import build_app
from service.api.context import Context
from service.broker_log import BrokerLog
from service.commands import CommandDesk
from service.feed import Feed, LiveEvent
from service.hook_thread import HookThread
from service.hooks import find_hooks
from service.ingest import Ingest
from service.limits import RequestLimits
from service.metrics import Metrics
from service.neighbours import follow_neighbours
from service.plan_shelf import PlanShelf
from service.presence import PresenceGuard
from service.pushes import PushDesk
from service.rollout.desk import RolloutDesk
from service.server import Server, build_server, is_loopback, listen, url_of
from service.settings import SupervisorSettings
from service.store.alert_rows import Channels
from service.store.batch import AlertChange, Written
from service.store.database import Database
from service.store.place import find_place
from service.tokens import TokenDesk
from service.watch import Watch
from service.web_certificate import WebCertificate
from service.webhook import make_webhook

_log = structlog.get_logger("service")

#: A broker that is there takes less time to tell whether another supervisor is, and to connect; one that is not
#: there is not waited for.
_CONNECT_S = 3.0
#: The name under which supervisors with an instance share the devices' messages.
SHARE = "biotrain"


def client_id(site: str | None, instance: str | None = None) -> str:
    """The same for every supervisor of a site: the broker keeps one session, and one supervisor serves it.

    Supervisors that share a site have one each, by the name of their instance.
    """
    shared = "" if instance is None else f"-{instance}"
    return f"biotrain-supervisor-{site or 'all'}{shared}"


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
    secure = None if settings.certificate is None else WebCertificate(settings.certificate, settings.key)
    sock = stack.enter_context(listen(settings.host, settings.port))
    if settings.admin_token is None and not settings.open_to_all and not is_loopback(sock):
        raise UserError(
            f"{settings.host} can be reached from other machines: set BIOTRAIN_ADMIN_TOKEN, so that tokens are asked "
            "for, or say --open when something in front of it asks"
        )
    if settings.instance is not None and find_place(settings.store).path is not None:
        raise UserError(
            f"--instance {settings.instance}: several supervisors share a PostgreSQL database, not an SQLite file; "
            "name one with --store"
        )
    database = await stack.enter_async_context(Database(settings.store))
    threads = [HookThread(hook, settings.hook_timeout_s) for hook in hooks]
    for thread in threads:
        stack.callback(thread.close)

    share = None if settings.instance is None else SHARE
    subscriptions = [fleet_filter(kind, settings.site or "+", share=share) for kind in (*FROM_DEVICE, *UNNUMBERED)]
    broker = Broker(settings.broker, subscriptions=subscriptions)
    broker_log = BrokerLog()
    presence = PresenceGuard(settings.broker, broker_log)
    feed = Feed()
    announcer = Announcer(broker)
    webhooks = [make_webhook(url, settings.webhook_secret, settings.hook_timeout_s) for url in settings.webhooks]
    channels = Channels(tuple(hook.name for hook in hooks), tuple(webhook.url for webhook in webhooks))
    desk = AlertDesk(database, broker, threads, webhooks)

    def on_alerts(changes: Sequence[AlertChange]) -> None:
        feed.publish(
            LiveEvent(0, "alert", one.alert.site, one.alert.device, one.alert.to_json().decode()) for one in changes
        )
        desk.wake()

    def on_written(written: Written) -> None:
        feed.publish(
            LiveEvent(new.id, new.arrived.kind.value, *new.arrived.device, new.arrived.payload)
            for new in written.messages
        )
        if written.alerts:
            on_alerts(written.alerts)

    shelf = PlanShelf(database, broker)
    pushes = PushDesk(database, broker)
    rollout_desk = RolloutDesk(database, pushes, channels, on_alerts)
    ingest = Ingest(
        broker,
        database,
        announcer,
        channels=channels,
        on_written=on_written,
        on_fetch=shelf.ask,
        batch_messages=settings.batch_messages,
        batch_linger_s=settings.batch_linger_s,
        teller=settings.instance,
    )
    metrics = Metrics(broker, broker_log, ingest, feed, desk, shelf)
    watch = Watch(database, broker, settings, channels, metrics, on_alerts)
    context = Context(
        database=database,
        broker=broker,
        ingest=ingest,
        commands=CommandDesk(database, broker),
        pushes=pushes,
        rollouts=rollout_desk,
        feed=feed,
        tokens=TokenDesk(database, settings.admin_token),
        limits=RequestLimits(settings.requests_per_s),
        site=settings.site,
        started=utc_now(),
        metrics=metrics,
        on_alerts=on_alerts,
        channels=channels,
        hooks=tuple(hook.name for hook in hooks),
    )
    server = build_server(build_app(context), secure)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(presence.run(), name="presence")]
        tasks += [
            group.create_task(_take_in(presence, broker, ingest, announcer, desk), name="ingest"),
            group.create_task(server.serve(sockets=[sock]), name="web"),
            group.create_task(watch.run(), name="watch"),
            group.create_task(shelf.run(), name="plans"),
            group.create_task(rollout_desk.run(), name="roll-outs"),
        ]
        if secure is not None:
            tasks.append(group.create_task(secure.follow(), name="certificate"))
        if settings.instance is not None:
            tasks.append(group.create_task(follow_neighbours(database, settings.instance, feed), name="neighbours"))
        connected = asyncio.create_task(broker.next_connection())
        stopped = asyncio.create_task(stop.wait())
        stack.callback(connected.cancel)
        stack.callback(stopped.cancel)
        await asyncio.wait((connected, stopped), timeout=_CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        url = url_of(sock, secure=secure is not None)
        _log.info(
            "supervisor is running", url=url, broker=broker.address, store=database.place.shown, site=settings.site
        )
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
