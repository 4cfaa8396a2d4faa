"""A device for tests: it keeps what it publishes until it is told that it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from messaging import Broker, BrokerSettings, PublishError
from schemas.command import Command
from schemas.stored import Stored
from schemas.topics import DeviceTopic, Kind
from tests.service.story import Published


class SenderWithLog:
    """Publishes, and publishes again what is not acknowledged; `log` has every message ever given to it."""

    def __init__(self, port: int, *, site: str = "lab", device: str = "band-1", resend_after_s: float = 0.5) -> None:
        self.log: list[Published] = []
        self.commands: list[Command] = []
        self._outbox: dict[tuple[int, int], Published] = {}
        self._resend_after_s = resend_after_s
        settings = BrokerSettings(port=port, client_id=f"{site}-{device}", backoff_longest_s=0.3)
        topics = [str(DeviceTopic(site, device, kind)) for kind in (Kind.STORED, Kind.COMMAND)]
        self.broker = Broker(settings, subscriptions=topics)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.broker.__aenter__()
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))
        await self.broker.__aexit__(kind, error, trace)

    async def send(self, messages: Iterable[Published], *, pause_s: float = 0.0) -> None:
        """Tries once; what fails is left to `drain`."""
        for published in messages:
            self.log.append(published)
            self._outbox[published.message.boot, published.message.seq] = published
            await self._publish(published)
            await asyncio.sleep(pause_s)

    async def drain(self, within_s: float = 20.0) -> None:
        """Until everything is acknowledged as stored."""
        async with asyncio.timeout(within_s):
            while self._outbox:
                await asyncio.sleep(self._resend_after_s)
                await asyncio.gather(*(self._publish(published) for published in list(self._outbox.values())))

    async def _publish(self, published: Published) -> None:
        try:
            await self.broker.publish(published.topic, published.payload, retain=published.retain)
        except PublishError:
            return

    async def _listen(self) -> None:
        async for delivery in self.broker:
            if delivery.topic.endswith("/stored"):
                for one in Stored.model_validate_json(delivery.payload).ranges:
                    for seq in range(one.first, one.last + 1):
                        self._outbox.pop((one.boot, seq), None)
            else:
                self.commands.append(Command.model_validate_json(delivery.payload))
            delivery.acknowledge()
