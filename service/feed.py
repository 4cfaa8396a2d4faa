"""What has just been stored, for whoever is looking."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """`id` is the message's row, 0 for what is not a message; `data` is its JSON."""

    id: int
    kind: str
    site: str
    device: str
    data: str


class Subscriber:
    """A bounded queue: who does not keep up is let go, and comes back asking from where it was."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue(limit + 1)
        self._limit = limit
        self._ended = False

    def put(self, event: LiveEvent) -> None:
        if self._ended:
            return
        if self._queue.qsize() >= self._limit:
            self.end()
        else:
            self._queue.put_nowait(event)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    async def get(self) -> LiveEvent | None:
        """None at the end."""
        return await self._queue.get()

    async def get_all(self) -> list[LiveEvent | None]:
        """Everything that is there, at least one."""
        events = [await self._queue.get()]
        while not self._queue.empty():
            events.append(self._queue.get_nowait())
        return events


class Feed:
    """Fans out to a bounded number of subscribers."""

    def __init__(self, *, subscribers: int = 100, events: int = 10_000) -> None:
        self._limit = subscribers
        self._events = events
        self._subscribers: set[Subscriber] = set()

    @property
    def readers(self) -> int:
        return len(self._subscribers)

    @property
    def is_full(self) -> bool:
        return len(self._subscribers) >= self._limit

    @contextmanager
    def subscribe(self) -> Iterator[Subscriber]:
        subscriber = Subscriber(self._events)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    def publish(self, events: Iterable[LiveEvent]) -> None:
        if not self._subscribers:
            return
        for event in events:
            for subscriber in self._subscribers:
                subscriber.put(event)

    def close(self) -> None:
        for subscriber in self._subscribers:
            subscriber.end()
