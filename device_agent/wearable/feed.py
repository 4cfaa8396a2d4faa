"""The wearable's events in order: holes are seen by their index and asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from device_agent.wearable.api import DeviceEvent, DeviceEventKind
from schemas.link.told import EventRecord


def to_device_event(record: EventRecord) -> DeviceEvent:
    """An event of the link in the agent's words."""
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
        """Index that was asked for last: what comes before it does is older than the question."""
        self._behind_at = 0
        """Where the last heartbeat found a hole."""
        self._queue: asyncio.Queue[DeviceEvent | None] = asyncio.Queue()

    def begin(self, first: int) -> None:
        """A new connection: the wearable sends from `first` on."""
        self._next, self._asked, self._behind_at = first, 0, 0

    def take(self, index: int, payload: bytes) -> None:
        """An event; without a payload, one that the wearable could not read."""
        if index > self._next and self._asked != self._next:
            self._ask()
        if index != self._next:
            return
        self._next = index + 1
        if payload:
            self._queue.put_nowait(to_device_event(EventRecord.from_bytes(payload)))
        else:
            self.unreadable += 1

    def heartbeat(self, next_index: int) -> None:
        """The wearable has told all below `next_index`; what stays away for a whole heartbeat was lost."""
        behind = next_index > self._next
        if behind and self._behind_at == self._next:
            self._ask()
        self._behind_at = self._next if behind else 0

    def _ask(self) -> None:
        self._asked = self._next
        self._replay(self._next)

    def close(self) -> None:
        self._queue.put_nowait(None)

    async def events(self) -> AsyncIterator[DeviceEvent]:
        while (event := await self._queue.get()) is not None:
            yield event
        self.close()  # for whoever else listens
