"""Windows that the wearable records by itself, on its own clock: the agent gets what it says of them, no samples."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import structlog

from device_agent.sources.source import Item, Recorded, Start, WindowSource
from device_agent.wearable.api import WearableError, WearableLost
from schemas.errors import UserError

_log = structlog.get_logger("agent")


class SelfRecordedSource(WindowSource):
    """Ends when the wearable has nothing more to record. Windows whose number is missing were lost on the way.

    The wearable is told which number its next window must have at least, so that numbers go on where they were when
    it has restarted.
    """

    def __init__(self, start: Start) -> None:
        self._wearable, self._wearable_lost = start.wearable, start.wearable_lost
        self._resumed = start.after is not None
        self._next = start.first if start.after is None else start.after + 1
        self.anchor_s = time.time() if start.anchor_s is None else start.anchor_s
        self.lost = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The wearable goes on: it is the device's own business, and the next run of the agent takes it up again."""

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            wearable = await self._wearable()
            try:
                boot = wearable.info.boot
                await wearable.start_recording(self._next)
                async for report in wearable.reports():
                    if report.window_id < self._next:
                        continue  # told before the connection was lost
                    if self._resumed:
                        self.lost += report.window_id - self._next
                    self._resumed, self._next = True, report.window_id + 1
                    yield Recorded(report, time.time() if report.ended_s is None else report.ended_s)
                recording = (await wearable.statistics()).recording
                if wearable.info.boot == boot and not recording:
                    return  # otherwise it has restarted, and has to be told to go on
            except WearableLost as error:
                _log.info("the wearable's own windows wait for the link", reason=str(error))
                self._wearable_lost(wearable)
            except WearableError as error:
                raise UserError(
                    f"the wearable does not record by itself ({error.code}: {error}): give it electrodes or, for a "
                    "virtual one, `biotrain wearable --record FILE`; or choose another --source"
                ) from None
