"""Carries recorded alerts out of the house: onto the device's alert topic, to every hook, to every webhook."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from messaging import Broker, PublishError
from schemas.base import utc_now
from schemas.topics import DeviceTopic, Kind
from service.hook_thread import HookThread
from service.store import deliveries as store
from service.store.alert_rows import MQTT
from service.store.database import Database
from service.store.deliveries import Delivery
from service.webhook import Webhook

_log = structlog.get_logger("service.alerts")

_RETRY_S = 1.0
#: Looked for again after this time even without news: another supervisor may have left something behind.
_LOOK_S = 15.0


class AlertDesk:
    """Works from the database alone, oldest first: what a stop interrupts is taken up again at the next start.

    Each channel has a task of its own; none waits for another.
    """

    def __init__(
        self, database: Database, broker: Broker, hooks: Sequence[HookThread], webhooks: Sequence[Webhook]
    ) -> None:
        self._database = database
        self._broker = broker
        self._hooks = hooks
        self._webhooks = webhooks
        self._news: list[asyncio.Event] = []
        #: By channel and outcome, since the start.
        self.counts: dict[tuple[str, str], int] = {}

    def wake(self) -> None:
        """There are new deliveries in the database."""
        for news in self._news:
            news.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(MQTT, self._publish, lease_s=30.0), name="publish alerts")
            for hook in self._hooks:
                lease_s = hook.timeout_s + hook.GRACE_S + 5.0
                name = hook.hook.name
                group.create_task(self._serve(name, self._caller(hook), lease_s=lease_s), name=f"hook {name}")
            for webhook in self._webhooks:
                task = self._serve(webhook.url, self._poster(webhook), lease_s=webhook.timeout_s + 5.0)
                group.create_task(task, name=f"webhook {webhook.url}")

    async def _serve(self, channel: str, deliver: Callable[[Delivery], Awaitable[None]], *, lease_s: float) -> None:
        news = asyncio.Event()
        news.set()
        self._news.append(news)
        released = False
        while True:
            await self._wait(news, channel)
            news.clear()
            try:
                if not released and not self._database.is_shared:
                    await store.release(self._database, channel)
                released = True
                while (found := await store.claim(self._database, channel, lease_s)) is not None:
                    await deliver(found)
            except (PublishError, DBAPIError, SQLAlchemyError, OSError) as error:
                _log.warning("alerts wait", channel=channel, reason=str(getattr(error, "orig", None) or error)[:300])
                await asyncio.sleep(_RETRY_S)
                news.set()

    async def _wait(self, news: asyncio.Event, channel: str) -> None:
        """For news, or until something that was put off is due."""
        if news.is_set():
            return
        wait_s = _LOOK_S
        with contextlib.suppress(DBAPIError, SQLAlchemyError, OSError):
            due = await store.next_due(self._database, channel)
            if due is not None:
                wait_s = min(wait_s, max(0.05, (due - utc_now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await news.wait()

    async def _publish(self, delivery: Delivery) -> None:
        await self._broker.next_connection()
        topic = str(DeviceTopic(delivery.alert.site, delivery.alert.device, Kind.ALERT))
        try:
            await self._broker.publish(topic, delivery.alert.to_json())
        except PublishError as error:
            await store.try_later(self._database, delivery.id, utc_now(), str(error))
            raise
        await self._end(MQTT, delivery, "done")

    def _caller(self, hook: HookThread) -> Callable[[Delivery], Awaitable[None]]:
        async def call(delivery: Delivery) -> None:
            result = await hook.call(delivery.alert)
            if result.status != "done":
                _log.warning(
                    "alert hook did not succeed",
                    hook=hook.hook.name,
                    alert=delivery.alert.alert_id,
                    status=result.status,
                    detail=result.detail,
                )
            await self._end(hook.hook.name, delivery, result.status, result.duration_s, result.detail)

        return call

    def _poster(self, webhook: Webhook) -> Callable[[Delivery], Awaitable[None]]:
        async def post(delivery: Delivery) -> None:
            result = await webhook.post(delivery)
            if result.status == "done":
                await self._end(webhook.url, delivery, "done", result.duration_s, result.detail)
            elif delivery.attempts >= webhook.attempts:
                _log.error("a webhook is given up", url=webhook.url, alert=delivery.alert.alert_id, last=result.detail)
                await self._end(webhook.url, delivery, "dead", result.duration_s, result.detail)
            else:
                if delivery.attempts == 1:
                    _log.warning("a webhook is tried again", url=webhook.url, reason=result.detail)
                self._add(webhook.url, "retried")
                due = utc_now() + timedelta(seconds=webhook.pause_s(delivery.attempts))
                await store.try_later(self._database, delivery.id, due, result.detail)

        return post

    async def _end(
        self, channel: str, delivery: Delivery, status: str, duration_s: float | None = None, detail: str = ""
    ) -> None:
        await store.end(self._database, delivery.id, status, duration_s, detail)
        self._add(channel, status)

    def _add(self, channel: str, outcome: str) -> None:
        self.counts[channel, outcome] = self.counts.get((channel, outcome), 0) + 1
