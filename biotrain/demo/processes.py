"""The demo's processes: started in order, watched, started again when one dies, and all gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from schemas.errors import UserError

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 6.0
"""Every command promises to stop within 5 s of SIGTERM."""
RESTART_PAUSE_S = 0.3
MAX_FAILED_STARTS = 5
"""In a row: a process that never becomes ready again will not do so at the sixth try."""
MAX_STARTS = 25
"""In all: a process that dies again and again is broken, not unlucky."""
_USER_ERROR = 2
"""The exit code of a command that has said what is wrong; starting it again would not mend it."""

log = structlog.get_logger()


class Child:
    """One `biotrain` command as a process: its ready line, its last line, its log."""

    def __init__(self, name: str, words: list[str], log_file: Path) -> None:
        self.name, self.words, self.log_file = name, words, log_file
        self.ready: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        """The last JSON line on stdout after the ready line."""
        self.starts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Returns when the process has said that it is ready. Raises UserError, with its own words, when it cannot."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "biotrain.demo.child", str(os.getpid()), *self.words,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_WITHIN_S)
        except TimeoutError:
            await self.stop()
            raise UserError(f"{self.name} was not ready within {READY_WITHIN_S:.0f} s: see {self.log_file}") from None
        said = _json_object(line)
        if not said.get("ready"):
            await self._process.wait()
            raise UserError(f"{self.name} did not start: {self.last_words()} (its log: {self.log_file})")
        self.ready = said
        self._reader = asyncio.create_task(self._read(self._process.stdout), name=f"stdout of {self.name}")

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            self.last = _json_object(line) or self.last

    async def wait(self) -> int:
        """Until it has ended and all that it printed was read; its exit code, negative for a signal."""
        assert self._process is not None
        code = await self._process.wait()
        self._end_group()
        if self._reader:
            await self._reader
        return code

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL to whatever of its group is left after a while."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        self._end_group()
        await self._process.wait()
        if self._reader:
            await self._reader

    def _end_group(self) -> None:
        """Also after a clean end: a child of its own that it left behind is in its group, and may hold its port."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        own = [line.removeprefix("biotrain: ") for line in lines if line.startswith("biotrain: ")]
        return (own or lines or ["it said nothing"])[-1]


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class Household:
    """All children of one demo. `status_file` names their process ids, for whoever wants to look (or to kill)."""

    def __init__(self, status_file: Path) -> None:
        self.children: list[Child] = []
        self._status_file = status_file
        self._watchers: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = False

    async def add(self, child: Child, *, until: Callable[[Child, int], bool] = lambda child, code: False) -> Child:
        """Start and watch: what ends is started again, unless `until(child, exit code)` says that it is done."""
        self.children.append(child)
        await child.start()
        self._write_status()
        self._watchers.append(asyncio.create_task(self._watch(child, until), name=f"watch {child.name}"))
        return child

    async def _watch(self, child: Child, until: Callable[[Child, int], bool]) -> None:
        try:
            while True:
                code = await child.wait()
                if self._stopping or until(child, code):
                    return
                if code == _USER_ERROR or child.starts >= MAX_STARTS:
                    raise UserError(f"{child.name} ended: {child.last_words()} (its log: {child.log_file})")
                log.warning("process died, starting it again", process=child.name, exit_code=code)
                await self._restart(child)
        except UserError as error:
            if not self._failed.done():
                self._failed.set_exception(error)

    async def _restart(self, child: Child) -> None:
        for attempt in range(1, MAX_FAILED_STARTS + 1):
            await asyncio.sleep(RESTART_PAUSE_S * attempt)
            try:
                await child.start()
            except UserError:
                if attempt == MAX_FAILED_STARTS:
                    raise
            else:
                self._write_status()
                return

    async def run_until(self, done: asyncio.Task[Any]) -> None:
        """Wait for `done`. Raises UserError when a child cannot be started again."""
        await asyncio.wait({done, self._failed}, return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            done.cancel()
            self._failed.result()
        await done

    async def finished(self, child: Child) -> None:
        """Until the child has ended for good (its `until` said so)."""
        watcher = next(task for task in self._watchers if task.get_name() == f"watch {child.name}")
        await asyncio.shield(watcher)

    async def stop(self) -> None:
        """The last started first: who publishes goes before who listens."""
        self._stopping = True
        for child in reversed(self.children):
            await child.stop()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._failed.done():
            self._failed.exception()
        self._status_file.unlink(missing_ok=True)

    @property
    def restarts(self) -> dict[str, int]:
        return {child.name: child.starts - 1 for child in self.children}

    def _write_status(self) -> None:
        status = {
            child.name: {"pid": child.pid, "starts": child.starts, "ready": child.ready}
            for child in self.children
            if child.running
        }
        temporary = self._status_file.with_suffix(".new")
        temporary.write_text(json.dumps(status), encoding="utf-8")
        temporary.replace(self._status_file)
