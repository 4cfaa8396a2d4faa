"""Empties the outbox over MQTT, in order, again and again until the supervisor has stored everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from device_agent.outbox import Pending
from device_agent.reporter import Reporter
from messaging import Broker, PublishError
from schemas.topics import DeviceTopic, Kind

_BATCH = 50


class Publisher:
    """Sends what is behind its cursor; falls back to the oldest unacknowledged message after a time or a break."""

    def __init__(
        self,
        reporter: Reporter,
        broker: Broker,
        *,
        resend_after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter, self._broker = reporter, broker
        self._resend_after_s, self._clock = resend_after_s, clock
        self._cursor = (0, 0)
        self._turned_back_s = clock()

    async def run(self) -> None:
        connection = 0
        while True:
            if not self._broker.connected or self._broker.counters.connections != connection:
                connection = await self._broker.next_connection()
                self._turn_back()
            batch = await self._next_batch()
            if not batch:
                await self._reporter.wait_for_work(min(self._resend_after_s / 4, 1.0))
                continue
            results = await asyncio.gather(*(self._send(message) for message in batch), return_exceptions=True)
            for message, result in zip(batch, results, strict=True):
                if isinstance(result, PublishError):
                    await asyncio.sleep(0.1)
                    break
                if isinstance(result, BaseException):
                    raise result
                self._cursor = (message.boot, message.seq)

    async def _next_batch(self) -> list[Pending]:
        """What has not been sent yet; when that is all, and it is time, once more what has not been acknowledged."""
        if self._reporter.was_asked_again():
            self._turn_back()
        batch = await self._reporter.pending(self._cursor, _BATCH)
        due = self._clock() - self._turned_back_s >= self._resend_after_s
        if not batch and due and self._reporter.outbox.pending_count:
            self._turn_back()
            batch = await self._reporter.pending(self._cursor, _BATCH)
        return batch

    def _turn_back(self) -> None:
        self._cursor = (0, 0)
        self._turned_back_s = self._clock()

    async def _send(self, message: Pending) -> None:
        identity = self._reporter.outbox.identity
        topic = DeviceTopic(identity.site, identity.device, message.kind)
        newest = (message.boot, message.seq) == self._reporter.outbox.newest_state
        await self._broker.publish(str(topic), message.payload, retain=message.kind is Kind.STATE and newest)
