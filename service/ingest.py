"""Broker to database: parse, write, commit, and only then acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from messaging import Broker, Delivery
from schemas.base import utc_now
from service.alerts import alert_for
from service.announce import Announcer
from service.parse import Key, parse_delivery, poison_key
from service.store.batch import Arrived, Batch, Poison, Written
from service.store.database import Database
from service.store.writer import write_batch

_log = structlog.get_logger("service.ingest")

_RETRY_FIRST_S = 0.2
_RETRY_LONGEST_S = 5.0


@dataclass(slots=True)
class IngestCounters:
    """Since the start of this process."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    batches: int = 0
    store_failures: int = 0


class Ingest:
    """The one consumer of the device topics. Stops only when cancelled."""

    def __init__(
        self,
        broker: Broker,
        database: Database,
        announcer: Announcer,
        *,
        hooks: Sequence[str],
        on_written: Callable[[Written], None],
        batch_messages: int = 500,
        batch_linger_s: float = 0.01,
    ) -> None:
        self.counters = IngestCounters()
        self.store_error = ""
        self._broker = broker
        self._database = database
        self._announcer = announcer
        self._hooks = tuple(hooks)
        self._on_written = on_written
        self._batch_messages = batch_messages
        self._batch_linger_s = batch_linger_s

    async def run(self) -> None:
        while True:
            await self.take_in(await self._broker.receive(self._batch_messages, self._batch_linger_s))

    async def take_in(self, deliveries: Sequence[Delivery]) -> None:
        """One batch, from parsing to acknowledgement."""
        now = utc_now()
        parsed = [parse_delivery(delivery, now) for delivery in deliveries]
        batch = Batch(
            [one for one in parsed if isinstance(one, Arrived)],
            [one for one in parsed if isinstance(one, Poison)],
        )
        for written in await self._store(batch):
            self._count(written)
            self._on_written(written)
        for delivery in deliveries:
            delivery.acknowledge()
        self.counters.received += len(deliveries)
        self.counters.batches += 1
        self._announcer.add(_keys(batch))

    async def _store(self, batch: Batch) -> list[Written]:
        try:
            return [await self._store_surely(batch)]
        except Exception as error:
            _log.warning("a message cannot be stored; looking for it", reason=str(error), messages=len(batch.arrived))
        written = []
        for arrived in batch.arrived:
            try:
                written.append(await self._store_surely(Batch([arrived])))
            except Exception as error:
                reason = f"cannot be stored: {type(error).__name__}: {error}"[:500]
                topic = f"biotrain/v1/{arrived.message.site}/{arrived.message.device}/{arrived.kind}"
                poison = Poison(topic, arrived.payload.encode(), reason, arrived.received)
                written.append(await self._store_surely(Batch(poison=[poison])))
        if batch.poison:
            written.append(await self._store_surely(Batch(poison=batch.poison)))
        return written

    async def _store_surely(self, batch: Batch) -> Written:
        """Tries for ever while the database is at fault; raises when the message is."""
        delay = _RETRY_FIRST_S
        while True:
            try:
                written = await write_batch(self._database, batch, alert_for, self._hooks)
            except (IntegrityError, DataError):
                raise
            except (DBAPIError, OSError) as error:
                self.store_error = str(getattr(error, "orig", error))
                self.counters.store_failures += 1
                _log.error("the database does not take messages; nothing is acknowledged", reason=self.store_error)
                await asyncio.sleep(delay)
                delay = min(_RETRY_LONGEST_S, 2 * delay)
            else:
                self.store_error = ""
                return written

    def _count(self, written: Written) -> None:
        self.counters.stored += len(written.messages)
        self.counters.duplicates += written.duplicates
        self.counters.quarantined += written.quarantined
        if written.quarantined:
            _log.warning("messages quarantined: see /api/quarantine", messages=written.quarantined)


def _keys(batch: Batch) -> list[Key]:
    keys = [arrived.key for arrived in batch.arrived if arrived.message.seq > 0]
    keys += [key for poison in batch.poison if (key := poison_key(poison)) is not None]
    return keys
