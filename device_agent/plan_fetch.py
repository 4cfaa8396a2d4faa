"""A file from the supervisor, piece by piece over MQTT; what is lost is asked for again."""

from __future__ import annotations

import asyncio
import random

from device_agent.plan_files import digest
from device_agent.settings import AgentSettings
from messaging import Broker, PublishError
from messaging.backoff import Backoff
from schemas.errors import UserError
from schemas.plan_push import Fetch, FileRef, Part
from schemas.topics import DeviceTopic, Kind

_ANSWER_S = 3.0
"""A piece that has not come by then is asked for again, with growing pauses."""
_LONGEST_PAUSE_S = 30.0


class PlanFetch:
    """One file at a time. `take` is told every part that comes."""

    def __init__(self, settings: AgentSettings, broker: Broker) -> None:
        self._settings, self._broker = settings, broker
        self._wanted: tuple[str, int] = ("", -1)
        self._answer: asyncio.Future[Part] | None = None

    def take(self, part: Part) -> None:
        """A piece that nobody waits for any more is passed over."""
        if self._answer is not None and not self._answer.done() and (part.sha256, part.offset) == self._wanted:
            self._answer.set_result(part)

    async def fetch(self, file: FileRef) -> bytes:
        """Waits for broker and supervisor as long as it takes. Raises UserError for what they cannot mend."""
        held = b""
        while len(held) < file.size:
            part = await self._piece(file.sha256, len(held))
            if not part.size:
                raise UserError(f"the supervisor does not have the file {file.sha256[:12]} any more: push it again")
            if part.size != file.size or not part.data or len(held) + len(part.data) > file.size:
                raise UserError(f"the file {file.sha256[:12]} has {file.size} bytes, and another size came: push again")
            held += part.data
        if digest(held) != file.sha256:
            raise UserError(f"the file {file.sha256[:12]} was altered on its way: push it again")
        return held

    async def _piece(self, sha256: str, offset: int) -> Part:
        backoff = Backoff(_ANSWER_S, _LONGEST_PAUSE_S, random.random)
        settings = self._settings
        topic = str(DeviceTopic(settings.site, settings.device, Kind.FETCH))
        while True:
            self._wanted = (sha256, offset)
            self._answer = asyncio.get_running_loop().create_future()
            wish = Fetch(site=settings.site, device=settings.device, sha256=sha256, offset=offset)
            pause_s = max(backoff.next_delay(), 1.0)
            try:
                async with asyncio.timeout(pause_s):
                    await self._broker.publish(topic, wish.to_json())
                    return await self._answer
            except TimeoutError:
                continue
            except PublishError:
                await asyncio.sleep(pause_s)
