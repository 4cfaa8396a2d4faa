"""Answers devices that fetch a plan: a piece for each question, from any supervisor that hears it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from messaging import Broker, PublishError
from schemas.plan_push import PART_BYTES, Fetch, Part
from schemas.topics import DeviceTopic, Kind
from service.store.database import Database
from service.store.plans import file_of

_log = structlog.get_logger("service")
#: Questions that wait; one that finds no room is asked again by its device.
_QUESTIONS = 10_000
#: Files in memory: a roll-out is about one plan and one weights file.
_FILES = 8
_AGAIN_S = 1.0


class PlanShelf:
    """`run` it as a task."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database, self._broker = database, broker
        self._asked: asyncio.Queue[Fetch] = asyncio.Queue(_QUESTIONS)
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self.parts_sent = self.refused = 0

    def ask(self, fetches: Iterable[Fetch]) -> None:
        for fetch in fetches:
            try:
                self._asked.put_nowait(fetch)
            except asyncio.QueueFull:
                self.refused += 1

    async def run(self) -> None:
        while True:
            fetch = await self._asked.get()
            try:
                part = await self._part(fetch)
                topic = str(DeviceTopic(fetch.site, fetch.device, Kind.PART))
                # Not confirmed: a piece that is lost is asked for again.
                self._broker.publish_unconfirmed([(topic, part.to_json())])
            except (SQLAlchemyError, OSError, PublishError) as error:
                _log.warning("a device waits for a piece of a plan", device=fetch.device, reason=str(error)[:200])
                await asyncio.sleep(_AGAIN_S)
            else:
                self.parts_sent += bool(part.size)
                self.refused += not part.size

    async def _part(self, fetch: Fetch) -> Part:
        file = self._files.get(fetch.sha256)
        if file is None:
            file = await file_of(self._database, fetch.sha256) or b""
            if file:
                self._files[fetch.sha256] = file
                while len(self._files) > _FILES:
                    self._files.popitem(last=False)
        return make_part(fetch, file)


def make_part(fetch: Fetch, file: bytes) -> Part:
    """The piece at the offset asked for; empty where there is no such file."""
    return Part.model_construct(
        schema_name=Part.SCHEMA,
        site=fetch.site,
        device=fetch.device,
        time=fetch.time,
        sha256=fetch.sha256,
        offset=fetch.offset,
        size=len(file),
        data=file[fetch.offset : fetch.offset + PART_BYTES],
    )
