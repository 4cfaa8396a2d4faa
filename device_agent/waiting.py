"""Wait until something that other tasks change has become true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """`notify` after every change; `until` looks again each time."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def notify(self) -> None:
        for event in self._waiting:
            event.set()

    async def until(self, true: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """False when `timeout_s` passed first."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    await event.wait()
                    event.clear()
            return True
        except TimeoutError:
            return true()
        finally:
            self._waiting.discard(event)
