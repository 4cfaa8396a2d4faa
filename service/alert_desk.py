"""Carries recorded alerts out of the house: onto the device's alert topic, and to every hook."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import DBAPIError

from messaging import Broker, PublishError
from schemas.topics import DeviceTopic, Kind
from service.hook_thread import HookThread
from service.store import alerts as store
from service.store.database import Database

_log = structlog.get_logger("service.alerts")

_RETRY_S = 1.0


class AlertDesk:
    """Works from the database alone, oldest first: what a stop interrupts is taken up again at the next start."""

    def __init__(self, database: Database, broker: Broker, hooks: list[HookThread]) -> None:
        self._database = database
        self._broker = broker
        self._hooks = hooks
        self._news = [asyncio.Event() for _ in range(len(hooks) + 1)]

    def wake(self) -> None:
        """There are new alerts in the database."""
        for news in self._news:
            news.set()

    async def run(self) -> None:
        self.wake()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_all(self._news[0]), name="publish alerts")
            for hook, news in zip(self._hooks, self._news[1:], strict=True):
                group.create_task(self._call_all(hook, news), name=f"hook {hook.hook.name}")

    async def _publish_all(self, news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            try:
                while (found := await store.next_unpublished(self._database)) is not None:
                    await self._broker.next_connection()
                    topic = str(DeviceTopic(found.alert.site, found.alert.device, Kind.ALERT))
                    await self._broker.publish(topic, found.alert.to_json())
                    await store.mark_published(self._database, found.id)
            except (PublishError, DBAPIError) as error:
                await self._wait_and_retry(news, "an alert could not be published yet", error)

    async def _call_all(self, hook: HookThread, news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            try:
                while (found := await store.next_pending(self._database, hook.hook.name)) is not None:
                    result = await hook.call(found.alert)
                    if result.status != "done":
                        _log.warning(
                            "alert hook did not succeed",
                            hook=hook.hook.name,
                            alert=found.alert.alert_id,
                            status=result.status,
                            detail=result.detail,
                        )
                    await store.record_run(self._database, found.id, hook.hook.name, result)
            except DBAPIError as error:
                await self._wait_and_retry(news, "alert hooks wait for the database", error)

    async def _wait_and_retry(self, news: asyncio.Event, what: str, error: Exception) -> None:
        _log.warning(what, reason=str(error))
        await asyncio.sleep(_RETRY_S)
        news.set()
