"""The agent's one way to say something: kept first, published afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from device_agent.outbox import DeviceEntry, Draft, Outbox, Pending
from device_agent.state import AgentState
from schemas.base import Sequenced
from schemas.errors import UserError
from schemas.stored import SeqRange


class Reporter:
    """Runs the outbox in one thread of its own: no window waits for a disk."""

    def __init__(self, outbox: Outbox, state: AgentState, refresh: Callable[[AgentState], None]) -> None:
        self.outbox, self.state, self._refresh = outbox, state, refresh
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._work = asyncio.Event()
        self._asked_again = False

    async def put(
        self, *drafts: Draft, entry: DeviceEntry | None = None, command: str | None = None
    ) -> list[Sequenced] | None:
        """Keep messages and the agent's state together. None when `entry` or `command` was there before."""
        self._refresh(self.state)
        return await self._in_thread(drafts, self.state.model_dump_json(), entry, command)

    async def keep(self) -> None:
        """Keep the state alone."""
        await self.put()

    async def _in_thread(
        self, drafts: Sequence[Draft], state: str, entry: DeviceEntry | None, command: str | None
    ) -> list[Sequenced] | None:
        loop = asyncio.get_running_loop()
        try:
            done = await loop.run_in_executor(
                self._thread, lambda: self.outbox.put(drafts, state=state, entry=entry, command=command)
            )
        except sqlite3.OperationalError as error:
            # Whoever goes on without its outbox loses events: better to stop, and to be started again.
            raise UserError(
                f"the outbox cannot be written ({error}): free space in --state-dir, then start again"
            ) from None
        self._work.set()
        return done

    async def pending(self, after: tuple[int, int], limit: int) -> list[Pending]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.outbox.pending, after, limit)

    async def acknowledge(self, ranges: Sequence[SeqRange]) -> int:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.outbox.acknowledge, ranges)

    def ask_again(self) -> None:
        """The supervisor misses something: whatever is still here is due at once."""
        self._asked_again = True
        self._work.set()

    def was_asked_again(self) -> bool:
        """Since the last time this was looked at."""
        asked, self._asked_again = self._asked_again, False
        return asked

    async def was_relayed(self, entry: DeviceEntry) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.outbox.was_relayed, entry)

    async def was_taken_up(self, command: str) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.outbox.was_taken_up, command)

    async def wait_for_work(self, timeout_s: float) -> None:
        """Until something was put, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._work.wait()
        except TimeoutError:
            return
        finally:
            self._work.clear()

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self.outbox.close()
