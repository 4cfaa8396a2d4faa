"""The wearable's events in order: holes are seen by their index and asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from device_agent.wearable.api import DeviceEvent, DeviceEventKind
from schemas.link.messages import EventRecord


def to_device_event(record: EventRecord) -> DeviceEvent:
    return DeviceEvent(
        boot=record.boot,
        seq=record.seq,
        kind=DeviceEventKind(record.kind),
        time_us=record.time_us,
        fit_id=record.fit_id,
        epoch=record.epoch,
        step=record.step,
        steps=record.steps,
        loss=record.loss,
        weights_version=record.weights_version,
        l2_peak_bytes=record.l2_peak_bytes,
        detail=record.detail,
    )


class EventFeed:
    """Hands events on without a hole. `replay(index)` asks the wearable to send again from there."""

    def __init__(self, replay: Callable[[int], None]) -> None:
        self.unreadable = 0
        """Events that the wearable itself could not read any more."""
        self._replay = replay
        self._next = 1
        self._asked = 0
        """Index that was asked for last: if it is still missing after that, it is gone."""
        self._quiet_since = 0
        self._queue: asyncio.Queue[DeviceEvent | None] = asyncio.Queue()

    def begin(self, first: int) -> None:
        """A new connection: the wearable sends from `first` on."""
        self._next, self._asked, self._quiet_since = first, 0, 0

    def take(self, record: EventRecord) -> None:
        if record.index < self._next:
            return
        if record.index > self._next:
            if self._asked != self._next:
                self._asked = self._next
                self._replay(self._next)
                return
            if record.index <= self._asked:
                return
            self.unreadable += record.index - self._next
        self._next = record.index + 1
        self._queue.put_nowait(to_device_event(record))

    def heartbeat(self, next_index: int) -> None:
        """The wearable has told all below `next_index`; a tail that stays away for a whole heartbeat was lost."""
        behind = next_index > self._next
        if behind and self._quiet_since == self._next:
            self._asked = self._next
            self._replay(self._next)
        self._quiet_since = self._next if behind else 0

    def close(self) -> None:
        self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while (event := await self._queue.get()) is not None:
            yield event
        self.close()  # for whoever else listens
