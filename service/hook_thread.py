"""Runs a hook where it can do no harm: on a loop of its own, in a thread of its own, for a limited time."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from schemas.alert import Alert
from service.hooks import Hook

#: Threads of one hook that never came back; then the hook is not called again.
_GIVEN_UP_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class HookResult:
    """How a call of a hook has ended, and how long it took."""

    status: str
    duration_s: float
    detail: str = ""


class HookThread:
    """One hook; calls run one after the other. A hook that blocks its thread blocks nothing else."""

    #: How long a timed-out hook may take to notice that it was cancelled, before its thread is given up.
    GRACE_S = 1.0

    def __init__(self, hook: Hook, timeout_s: float) -> None:
        self.hook = hook
        self.timeout_s = timeout_s
        self._given_up = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, alert: Alert) -> HookResult:
        """`done`, `failed`, `timed_out`, or `skipped` when the hook has blocked too many threads."""
        if self._given_up >= _GIVEN_UP_AT_MOST:
            return HookResult("skipped", 0.0, f"it blocked {self._given_up} times and is no longer called")
        started = time.monotonic()
        loop = self._loop = self._loop or _start_loop(self.hook.name)
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._guarded(alert), loop))
        done, _ = await asyncio.wait((future,), timeout=self.timeout_s + self.GRACE_S)
        duration = time.monotonic() - started
        if done:
            status, detail = future.result()
            return HookResult(status, duration, detail)
        self._given_up += 1
        self._loop = None
        return HookResult("timed_out", duration, "it blocks its thread; use await, or asyncio.to_thread")

    def close(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    async def _guarded(self, alert: Alert) -> tuple[str, str]:
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.hook.function(alert)
        except TimeoutError:
            return "timed_out", f"not done after {self.timeout_s:g} s"
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            return "failed", f"{type(error).__name__}: {error}"[:500]
        return "done", ""


def _start_loop(name: str) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    threading.Thread(target=run, name=f"hook {name}", daemon=True).start()
    return loop
