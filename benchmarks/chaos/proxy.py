"""A TCP proxy that delays, loses, holds and cuts what passes: a bad network for whoever may not make one."""

from __future__ import annotations

import asyncio
import contextlib
import random

_CHUNK_BYTES = 65_536


class Proxy:
    """From a loopback port of its own to `target`. What it does wrong can be changed while connections are up."""

    def __init__(self, name: str, target: int, seed: int) -> None:
        self.name, self._target = name, target
        self.port = 0
        self.delay_s = 0.0
        self.loss = 0.0
        """Share of the chunks that are left out: only for links that number and repeat what they send."""
        self.counts = {"connections": 0, "bytes": 0, "lost": 0, "cut": 0}
        self._rng = random.Random(seed)
        self._holds = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def hold(self) -> None:
        """Nothing passes until `let_go`, once for each `hold`; what was on its way arrives then, or never."""
        self._holds += 1
        self._flowing.clear()

    def let_go(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._flowing.set()

    def cut(self) -> None:
        """Every connection is reset."""
        for writer in list(self._writers):
            self.counts["cut"] += 1
            writer.transport.abort()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        self._flowing.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            back, other = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(other)
            self.counts["connections"] += 1
            ways = {
                asyncio.create_task(self._pass(reader, other)),
                asyncio.create_task(self._pass(back, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            return  # nobody listens there now, or the proxy ends
        finally:
            self._tasks.discard(task)
            for end in (writer, other):
                if end is not None:
                    self._writers.discard(end)
                    end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                if self.loss and self._rng.random() < self.loss:
                    self.counts["lost"] += 1
                    continue
                self.counts["bytes"] += len(data)
                writer.write(data)
                await writer.drain()
