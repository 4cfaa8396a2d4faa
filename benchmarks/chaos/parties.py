"""Processes that are killed on purpose, and started again when they end on their own (which is noted)."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PAUSE_S = 0.5
_STOP_WITHIN_S = 5.0
"""What every command promises."""


class Party:
    """One process of the site. `ends` says whether an exit code means that it has done its work."""

    def __init__(
        self,
        name: str,
        words: list[str],
        log: Path,
        *,
        ends: Callable[[int], bool] = lambda code: False,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        self.name, self.words, self._log_path = name, words, log
        self._ends, self._on_line = ends, on_line
        self.done = asyncio.Event()
        self.ready = asyncio.Event()
        """It has said so, since it was last started."""
        self.starts = 0
        self.unplanned: list[dict[str, Any]] = []
        """Ends that nobody caused."""
        self.stop_s: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._down = 0
        """How many faults keep it down now."""
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch(), name=self.name)

    async def _spawn(self) -> None:
        self.ready.clear()
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        self.starts += 1

    async def _watch(self) -> None:
        while True:
            process = self._process
            assert process is not None
            assert process.stdout is not None
            while line := await process.stdout.readline():
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if said.get("ready"):
                        self.ready.set()
                    self._on_line(said)
            code = await process.wait()
            if self._stopping:
                return
            if self._ends(code):
                self.done.set()
                return
            if not self._down:
                self.unplanned.append({"process": self.name, "code": code, "time": time.time(), "log": self._tail()})
                await asyncio.sleep(_PAUSE_S)
            await self._may_run.wait()
            await self._spawn()

    async def kill(self, down_s: float) -> None:
        """SIGKILL to all of it; it is started again after `down_s`. Nothing where it has ended for good."""
        self._down += 1
        self._may_run.clear()
        try:
            if self.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
            await asyncio.sleep(down_s)
        finally:
            self._down -= 1
            if not self._down:
                self._may_run.set()

    async def stop(self) -> None:
        """SIGTERM; how long it takes is noted in `stop_s`. SIGKILL when that is too long."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            began = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 4 * _STOP_WITHIN_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            self.stop_s = time.monotonic() - began
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    def _tail(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")[-600:]


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
