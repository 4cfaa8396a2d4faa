"""Labels that came late, on their way to the windows in the wearable's ring."""

from __future__ import annotations

import asyncio

import structlog

from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.sources.source import LateLabel
from device_agent.wearable.api import WearableError, WearableLost

_log = structlog.get_logger("agent")
_BUSY_PAUSE_S = 0.2


class Labelling:
    """`run` it as a task, beside the stream: a broken link delays labels, and no window waits for them."""

    def __init__(self, context: Context, link: WearableLink) -> None:
        self._context, self._link = context, link
        self._waiting: asyncio.Queue[LateLabel] = asyncio.Queue()
        self._open = 0

    def put(self, late: LateLabel) -> None:
        """Only for a window that is in the ring and has no label there; the same label twice does no harm."""
        kept = self._context.ring.find(late.window_id)
        if kept is not None and kept.label is None:
            self._open += 1
            self._waiting.put_nowait(late)

    @property
    def done(self) -> bool:
        return not self._open

    async def run(self) -> None:
        while True:
            late = await self._waiting.get()
            await self._deliver(late)
            self._open -= 1
            self._context.changed.notify()

    async def _deliver(self, late: LateLabel) -> None:
        """The agent may train on a window only when the wearable knows its label."""
        while self._context.ring.find(late.window_id) is not None:
            wearable = await self._link.up()
            try:
                await wearable.label(late.window_id, late.label)
            except WearableLost:
                self._link.lost(wearable)
            except WearableError as error:
                if error.code != "BUSY":
                    _log.info("a late label found no window", window=late.window_id, reason=str(error))
                    return
                await asyncio.sleep(_BUSY_PAUSE_S)
            else:
                self._context.ring.label(late.window_id, late.label)
                return
