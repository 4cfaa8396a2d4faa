"""Runs a service until SIGTERM or Ctrl-C asks it to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from biotrain.watchdog import keep_saying


def run_until_stopped(service: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """`service` returns soon after its event is set."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        watchdog = asyncio.create_task(keep_saying(), name="watchdog")
        try:
            await service(stop)
        finally:
            watchdog.cancel()

    asyncio.run(run())
