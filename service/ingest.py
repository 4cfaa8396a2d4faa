"""Broker to database: parse, write, commit, and only then acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from messaging import Broker, Delivery
from schemas.base import utc_now
from schemas.desired import Reported
from schemas.plan_push import Fetch
from service.announce import Announcer
from service.parse import parse_delivery, poison_key
from service.store.alert_rows import Channels
from service.store.batch import Arrived, Batch, Key, Poison, Written
from service.store.database import Database
from service.store.writer import write_batch

_log = structlog.get_logger("service.ingest")

_RETRY_FIRST_S = 0.2
_RETRY_LONGEST_S = 5.0
#: A device's clock that differs by more from ours is worth a word.
_CLOCK_OFF_S = 86_400.0
#: So many topics are named for what they sent wrong; the counters know no limit.
_NAMED_TOPICS = 1000
#: And so many fields that are new to this version.
_NAMED_FIELDS = 100


@dataclass(slots=True)
class IngestCounters:
    """Since the start of this process."""

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    batches: int = 0
    store_failures: int = 0
    conflicts: int = 0
    clock_off: int = 0
    unknown_fields: int = 0


class Ingest:
    """The one consumer of the device topics. Stops only when cancelled.

    One batch is parsed while the one before is written.
    """

    def __init__(
        self,
        broker: Broker,
        database: Database,
        announcer: Announcer,
        *,
        channels: Channels,
        on_written: Callable[[Written], None],
        on_fetch: Callable[[Sequence[Fetch]], None],
        batch_messages: int = 500,
        batch_linger_s: float = 0.01,
        teller: str | None = None,
    ) -> None:
        self.counters = IngestCounters()
        self.store_error = ""
        self._broker = broker
        self._database = database
        self._announcer = announcer
        self._channels = channels
        self._teller = teller
        self._on_written, self._on_fetch = on_written, on_fetch
        self._batch_messages = batch_messages
        self._batch_linger_s = batch_linger_s
        self._parsed: asyncio.Queue[tuple[Sequence[Delivery], Batch]] = asyncio.Queue(1)
        self._wrong_clocks: set[tuple[str, str]] = set()
        self._named: set[str] = set()
        self._unknown: set[str] = set()
        self._last_complaint = ""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._parse(), name="parse")
            group.create_task(self._write(), name="write")

    async def _parse(self) -> None:
        while True:
            deliveries = await self._broker.receive(self._batch_messages, self._batch_linger_s)
            now = utc_now()
            arrived: list[Arrived] = []
            poison: list[Poison] = []
            reported: list[Reported] = []
            fetches: list[Fetch] = []
            for delivery in deliveries:
                one = parse_delivery(delivery, now, self._note_unknown)
                if isinstance(one, Arrived):
                    arrived.append(one)
                    if abs((one.message.time - now).total_seconds()) > _CLOCK_OFF_S:
                        self._note_clock(one)
                elif isinstance(one, Reported):
                    reported.append(one)
                elif isinstance(one, Fetch):
                    fetches.append(one)
                elif one is not None:
                    poison.append(one)
            if fetches:
                self._on_fetch(fetches)
            await self._parsed.put((deliveries, Batch(arrived, poison, reported)))

    async def _write(self) -> None:
        while True:
            deliveries, batch = await self._parsed.get()
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
        if batch.poison or batch.reported:
            written.append(await self._store_surely(Batch(poison=batch.poison, reported=batch.reported)))
        return written

    async def _store_surely(self, batch: Batch) -> Written:
        """Tries for ever while the database is at fault; raises when the message is."""
        delay = _RETRY_FIRST_S
        work = partial(write_batch, batch=batch, channels=self._channels, teller=self._teller)
        while True:
            try:
                written = await self._database.in_writer_thread(work)
            except (IntegrityError, DataError):
                raise
            except (DBAPIError, SQLAlchemyError, OSError) as error:
                self._complain(str(getattr(error, "orig", None) or error))
                await asyncio.sleep(delay)
                delay = min(_RETRY_LONGEST_S, 2 * delay)
            else:
                if self.store_error:
                    _log.info("the database takes messages again")
                self.store_error = self._last_complaint = ""
                return written

    def _complain(self, reason: str) -> None:
        """Every failure is counted; the same reason is told once."""
        self.store_error = reason
        self.counters.store_failures += 1
        if reason != self._last_complaint:
            _log.error("the database does not take messages; nothing is acknowledged until it does", reason=reason)
        self._last_complaint = reason

    def _note_clock(self, arrived: Arrived) -> None:
        if arrived.retained:
            return
        self.counters.clock_off += 1
        if arrived.device not in self._wrong_clocks and len(self._wrong_clocks) < 10_000:
            self._wrong_clocks.add(arrived.device)
            _log.warning(
                "the clock of a device is more than a day off; its messages are kept as they are",
                device="/".join(arrived.device),
                its_time=arrived.message.time.isoformat(),
            )

    def _note_unknown(self, fields: Sequence[str]) -> None:
        """From an agent that is newer than we are. The payload is kept as it came, so that nothing is lost by it."""
        self.counters.unknown_fields += 1
        new = [field[:100] for field in fields if field[:100] not in self._unknown][:20]
        if new and len(self._unknown) < _NAMED_FIELDS:
            self._unknown.update(new)
            _log.warning(
                "a message has fields that this version does not know, and leaves out; upgrade the supervisor before "
                "the agents",
                fields=new,
            )

    def _count(self, written: Written) -> None:
        self.counters.stored += len(written.messages)
        self.counters.duplicates += written.duplicates
        self.counters.quarantined += written.quarantined
        self.counters.conflicts += written.conflicts
        for poison in written.poison:
            self._name_poison(poison)

    def _name_poison(self, poison: Poison) -> None:
        """A topic's first is told with its reason; the others are counted, and all are in /api/quarantine."""
        topic = poison.topic[:200]
        if topic not in self._named and len(self._named) < _NAMED_TOPICS:
            self._named.add(topic)
            _log.warning(
                "a message is put into the quarantine, see /api/quarantine; more from this topic are counted only",
                topic=topic,
                reason=poison.reason[:300],
            )


def _keys(batch: Batch) -> list[Key]:
    keys = [arrived.key for arrived in batch.arrived if arrived.message.seq > 0]
    keys += [key for poison in batch.poison if (key := poison_key(poison)) is not None]
    return keys
