"""Tells each device which of its messages are in the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import lru_cache

import structlog

from messaging import Broker, PublishError
from schemas.base import utc_now
from schemas.stored import Stored
from schemas.topics import DeviceTopic, Kind
from service.ranges import as_ranges
from service.store.batch import Key

_log = structlog.get_logger("service.announce")

#: As many ranges as one `stored` message may have.
_RANGES = 500
#: Numbers kept while the broker is away. What is forgotten is sent again by its device, and announced then.
_PENDING = 200_000
#: Ranges are gathered for this long: a device that publishes often is told of many messages at once.
_GATHER_S = 0.25


class Announcer:
    """Collects what was stored and publishes it as ranges, one message per device at a time.

    Unconfirmed (QoS 0): whom the word does not reach sends again, and is told again.
    """

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
        pending = self._pending
        for site, device, boot, seq in keys:
            device_numbers = pending.get((site, device))
            if device_numbers is None:
                device_numbers = pending[site, device] = set()
            device_numbers.add((boot, seq))
            self._count += 1
        if self._pending:
            self._there_is_some.set()

    async def run(self) -> None:
        while True:
            await self._there_is_some.wait()
            await asyncio.sleep(_GATHER_S)
            await self._broker.next_connection()
            self._there_is_some.clear()
            pending, self._pending, self._count = self._pending, {}, 0
            messages = [one for names, numbers in pending.items() for one in _messages(*names, numbers)]
            try:
                self._broker.publish_unconfirmed(messages)
            except PublishError as error:
                _log.info("stored ranges wait for the broker", reason=str(error))
                for (site, device), numbers in pending.items():
                    self.add((site, device, boot, seq) for boot, seq in numbers)
                await asyncio.sleep(_GATHER_S)


def _messages(site: str, device: str, numbers: set[tuple[int, int]]) -> Iterable[tuple[str, bytes]]:
    """Written by hand: there is one for every device several times a second, and nothing in it can be wrong."""
    topic = _topic(site, device)
    ranges = [{"boot": boot, "first": first, "last": last} for boot, first, last in as_ranges(numbers)]
    head = {"schema": Stored.SCHEMA, "site": site, "device": device, "time": utc_now().isoformat()}
    for start in range(0, len(ranges), _RANGES):
        yield topic, json.dumps({**head, "ranges": ranges[start : start + _RANGES]}, separators=(",", ":")).encode()


@lru_cache(maxsize=100_000)
def _topic(site: str, device: str) -> str:
    return str(DeviceTopic(site, device, Kind.STORED))
