"""Tells each device which of its messages are in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from messaging import Broker, PublishError
from schemas.stored import SeqRange, Stored
from schemas.topics import DeviceTopic, Kind
from service.parse import Key
from service.ranges import as_ranges

_log = structlog.get_logger("service.announce")

#: As many ranges as one `stored` message may have.
_RANGES = 500
#: Numbers kept while the broker is away. What is forgotten is sent again by its device, and announced then.
_PENDING = 200_000


class Announcer:
    """Collects what was stored and publishes it as ranges, one message per device at a time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._pending: dict[tuple[str, str], set[tuple[int, int]]] = {}
        self._count = 0
        self._there_is_some = asyncio.Event()

    def add(self, keys: Iterable[Key]) -> None:
        """Only for messages whose transaction has been committed."""
        if self._count > _PENDING:
            _log.warning("stored ranges forgotten while the broker is away", messages=self._count)
            self._pending.clear()
            self._count = 0
        for site, device, boot, seq in keys:
            self._pending.setdefault((site, device), set()).add((boot, seq))
            self._count += 1
        if self._pending:
            self._there_is_some.set()

    async def run(self) -> None:
        while True:
            await self._there_is_some.wait()
            await self._broker.next_connection()
            self._there_is_some.clear()
            pending, self._pending, self._count = self._pending, {}, 0
            for (site, device), numbers in pending.items():
                await self._announce(site, device, numbers)

    async def _announce(self, site: str, device: str, numbers: set[tuple[int, int]]) -> None:
        ranges: list[SeqRange] = list(as_ranges(numbers))
        topic = str(DeviceTopic(site, device, Kind.STORED))
        for start in range(0, len(ranges), _RANGES):
            message = Stored(site=site, device=device, ranges=ranges[start : start + _RANGES])
            try:
                await self._broker.publish(topic, message.to_json())
            except PublishError as error:
                _log.info("stored ranges wait for the broker", device=device, reason=str(error))
                self.add((site, device, boot, seq) for boot, seq in numbers)
                return
