"""Keeps the wearable connected, and passes on every entry of its log."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from device_agent.waiting import Signal
from device_agent.wearable.api import DeviceEvent, Wearable, WearableError, WearableLost
from messaging.backoff import Backoff
from schemas.errors import UserError

_log = structlog.get_logger("agent")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class WearableLink:
    """`run` it as a task. `wearable` is None while there is no link, or what it holds has not been looked at yet."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Wearable]],
        relay: Callable[[DeviceEvent, str], Awaitable[None]],
        changed: Signal,
        *,
        on_up: Callable[[Wearable], Awaitable[None]],
        on_down: Callable[[str], Awaitable[None]],
    ) -> None:
        self._connect, self._relay, self._changed = connect, relay, changed
        self._on_up, self._on_down = on_up, on_down
        self.wearable: Wearable | None = None
        self._open: Wearable | None = None

    async def up(self) -> Wearable:
        """The connected wearable, as soon as there is one."""
        await self._changed.until(lambda: self.wearable is not None)
        assert self.wearable is not None
        return self.wearable

    def lost(self, wearable: Wearable) -> None:
        """Said by whoever met WearableLost first."""
        if self._open is wearable:
            self.wearable = self._open = None
            self._changed.notify()

    async def run(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, random.random)
        told = ""
        while True:
            try:
                wearable = await self._connect()
            except (WearableLost, OSError, TimeoutError) as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("no link to the wearable; trying again until there is one", reason=told)
                await asyncio.sleep(backoff.next_delay())
                continue
            except WearableError as error:
                raise UserError(f"the wearable cannot be used: {error}") from None
            backoff.reset()
            told = ""
            try:
                reason = await self._serve(wearable)
            finally:
                self.wearable = self._open = None
                self._changed.notify()
                await _close(wearable)
            _log.warning("link to the wearable lost", reason=reason)
            await self._on_down(reason)

    async def _serve(self, wearable: Wearable) -> str:
        """Until the link is gone; why."""
        self._open = wearable
        events = asyncio.create_task(self._pass_on(wearable), name="wearable events")
        lost = asyncio.create_task(self._changed.until(lambda: self._open is not wearable), name="wearable lost")
        try:
            await self._on_up(wearable)
            self.wearable = self._open
            self._changed.notify()
            await asyncio.wait({events, lost}, return_when=asyncio.FIRST_COMPLETED)
            return await events if events.done() else "a request met a broken link"
        except WearableLost as error:
            return str(error)
        finally:
            for task in (events, lost):
                task.cancel()
            await asyncio.gather(events, lost, return_exceptions=True)

    async def _pass_on(self, wearable: Wearable) -> str:
        boot = wearable.info.boot
        try:
            async for event in wearable.events():
                await self._relay(event, wearable.info.device_id)
                await wearable.acknowledge(event.boot, event.seq)
                if event.boot > boot:
                    return "the wearable has started anew"  # the same link, another ring: look at it again
        except WearableLost as error:
            return str(error)
        return "the wearable ended its stream of events"


async def _close(wearable: Wearable) -> None:
    try:
        async with asyncio.timeout(2.0):
            await wearable.close()
    except (WearableError, OSError, TimeoutError) as error:
        _log.debug("closing a lost link failed", reason=str(error))
