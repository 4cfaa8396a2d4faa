"""The connection as its users see it: it is there, or it will be; nothing received is forgotten."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiomqtt
import structlog

from messaging.backoff import Backoff
from messaging.connection import Connection, PublishError
from messaging.delivery import Delivery
from messaging.settings import BrokerSettings, Will
from schemas.errors import UserError

_log = structlog.get_logger("messaging")


@dataclass(slots=True)
class Counters:
    """What has happened on this client since it was made."""

    connections: int = 0
    attempts_failed: int = 0
    connections_lost: int = 0
    received: int = 0
    published: int = 0
    publishes_failed: int = 0
    last_error: str = ""


class Broker:
    """An MQTT client that connects in the background and reconnects for ever.

    `async with Broker(settings, subscriptions=[...]) as broker:` returns at once, also when no broker
    is there. Iterate over it, or call `receive` for batches, from one task. A message is acknowledged
    only by `Delivery.acknowledge`; one that never is comes again after the next connection.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        subscriptions: Sequence[str] = (),
        wishes: Sequence[str] = (),
        will: Will | None = None,
    ) -> None:
        self.settings = settings
        self.counters = Counters()
        self._subscriptions, self._wishes = tuple(subscriptions), tuple(wishes)
        self._will = will
        self._inbox: deque[Delivery] = deque()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Condition()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_connected(), name=f"mqtt {self.settings.client_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    @property
    def connected(self) -> bool:
        """Connected, and subscribed to everything asked for."""
        return self._connection is not None and self._connection.usable

    @property
    def address(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    async def next_connection(self, after: int = 0) -> int:
        """Wait until the connection number is above `after` and up; return it.

        Whoever has messages to send again after a break waits here: `n = await broker.next_connection(n)`.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self.connected and self.counters.connections > after)
            return self.counters.connections

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Returns when the broker has it. Raises PublishError when there is no connection or it breaks first."""
        connection = self._connection
        try:
            if connection is None:
                raise PublishError(f"not connected to the broker at {self.address}")
            await connection.send(topic, payload, qos=qos, retain=retain)
        except PublishError:
            self.counters.publishes_failed += 1
            raise
        self.counters.published += 1

    def publish_unconfirmed(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """QoS 0, for what is said again when it is lost. Raises PublishError when there is no connection."""
        if self._connection is None:
            self.counters.publishes_failed += len(messages)
            raise PublishError(f"not connected to the broker at {self.address}")
        self._connection.send_unconfirmed(messages)
        self.counters.published += len(messages)

    async def receive(self, limit: int = 1, linger_s: float = 0.0) -> list[Delivery]:
        """At least one and at most `limit` messages, in order; waits `linger_s` for a batch to fill."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        if linger_s > 0 and len(self._inbox) < limit:
            await asyncio.sleep(linger_s)
        batch = [self._inbox.popleft() for _ in range(min(limit, len(self._inbox)))]
        if self._connection is not None and len(self._inbox) <= self.settings.inbox_messages // 2:
            self._connection.resume_reading()
        return batch

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        while True:
            for delivery in await self.receive():
                yield delivery

    def _on_delivery(self, delivery: Delivery) -> None:
        self.counters.received += 1
        self._inbox.append(delivery)
        self._arrived.set()
        if len(self._inbox) >= self.settings.inbox_messages and self._connection is not None:
            self._connection.pause_reading()

    async def _stay_connected(self) -> None:
        backoff = Backoff(self.settings.backoff_first_s, self.settings.backoff_longest_s, random.random)
        while True:
            try:
                connection = Connection(self.settings, self._will, self._on_delivery)
            except UserError as error:  # certificates that were spoilt while they were renewed
                self.counters.attempts_failed += 1
                self._report_failure(str(error))
                await asyncio.sleep(backoff.next_delay())
                continue
            gracefully = False
            try:
                await self._open(connection)
                backoff.reset()
                reason = await connection.wait_lost()
                self.counters.connections_lost += 1
                self.counters.last_error = reason
                _log.warning("connection to the broker lost", broker=self.address, reason=reason)
            except (aiomqtt.MqttError, OSError) as error:
                self.counters.attempts_failed += 1
                self._report_failure(str(error))
            except asyncio.CancelledError:
                gracefully = True
                raise
            finally:
                self._connection = None
                await connection.close(gracefully=gracefully)
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(backoff.next_delay())

    async def _open(self, connection: Connection) -> None:
        await connection.open(self._subscriptions, self._wishes)
        self._connection = connection
        self.counters.connections += 1
        self.counters.last_error = ""
        if len(self._inbox) >= self.settings.inbox_messages:
            connection.pause_reading()
        _log.info("connected to the broker", broker=self.address, client=self.settings.client_id)
        async with self._changed:
            self._changed.notify_all()

    def _report_failure(self, reason: str) -> None:
        # The same reason is told once, not at every attempt of a long night.
        if reason != self.counters.last_error:
            _log.warning(
                "no connection to the broker; trying again until there is one", broker=self.address, reason=reason
            )
        self.counters.last_error = reason
