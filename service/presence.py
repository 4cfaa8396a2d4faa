"""One supervisor per client id: a broker would let a second one throw the first one out, again and again.

Each supervisor keeps a second connection, on which it asks whether another is there before it takes up
its client id, and answers whoever asks later. The one that was there first stays. The broker's own log comes on it too:
it is no message of a device, and must not wait for the database.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from messaging import Broker, BrokerSettings, Delivery, PublishError
from schemas.base import utc_now
from schemas.errors import UserError
from service.broker_log import TOPICS, BrokerLog

#: How long an answer may take before the place counts as free.
_ANSWER_S = 0.6


class Presence(BaseModel):
    """What supervisors tell each other."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    says: Literal["ask", "here"]
    instance: str
    #: Whether it has taken up the client id; one that has goes before one that has not, whatever their clocks say.
    settled: bool
    started: datetime
    host: str
    process: int

    @property
    def rank(self) -> tuple[bool, datetime, str]:
        return (not self.settled, self.started, self.instance)


class PresenceGuard:
    """`run` raises UserError when another supervisor has the better right to the client id."""

    def __init__(self, settings: BrokerSettings, broker_log: BrokerLog) -> None:
        self.client_id = settings.client_id
        self._topic = f"biotrain/supervisors/{settings.client_id}"
        self._me = Presence(
            says="ask",
            instance=secrets.token_hex(8),
            settled=False,
            started=utc_now(),
            host=socket.gethostname(),
            process=os.getpid(),
        )
        own = replace(settings, client_id=f"{settings.client_id}-{self._me.instance}", persistent_session=False)
        self._broker = Broker(own, subscriptions=[self._topic], wishes=TOPICS)
        self._broker_log = broker_log
        self.free = asyncio.Event()

    async def run(self) -> None:
        async with self._broker, asyncio.TaskGroup() as group:
            group.create_task(self._ask_at_each_connection(), name="ask for other supervisors")
            group.create_task(self._listen(), name="listen for other supervisors")

    async def _ask_at_each_connection(self) -> None:
        connection = 0
        while True:
            connection = await self._broker.next_connection(connection)
            try:
                await self._say("ask")
            except PublishError:
                continue
            await asyncio.sleep(_ANSWER_S)
            if self._broker.connected:
                self._me = self._me.model_copy(update={"settled": True})
                self.free.set()

    async def _listen(self) -> None:
        async for delivery in self._broker:
            if delivery.topic == self._topic:
                await self._answer(delivery)
            else:
                self._broker_log.take(delivery.payload)
            delivery.acknowledge()

    async def _answer(self, delivery: Delivery) -> None:
        try:
            other = Presence.model_validate_json(delivery.payload)
        except ValidationError:
            return
        if other.instance == self._me.instance:
            return
        if other.rank < self._me.rank:
            raise UserError(
                f"another supervisor (process {other.process} on {other.host}) is connected to the broker at "
                f"{self._broker.address} as {self.client_id!r}: stop it, or watch another site with --site"
            )
        if other.says == "ask":
            try:
                await self._say("here")
            except PublishError:
                return  # the connection broke: the other one asks again at its next

    async def _say(self, what: Literal["ask", "here"]) -> None:
        message = self._me.model_copy(update={"says": what})
        await self._broker.publish(self._topic, message.model_dump_json().encode())
