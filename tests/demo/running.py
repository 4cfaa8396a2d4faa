"""A demo as a process of its own, watched from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

PROCESSES = ("broker", "supervisor", "wearable", "agent")


class RunningDemo:
    """`biotrain demo --headless --json` in `folder`, with more options."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "biotrain", "demo", "--headless", "--json", "--dir", str(folder), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self) -> dict[str, Any]:
        """What `processes.json` says; nothing before the first process is there."""
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.folder / "processes.json").read_text(encoding="utf-8"))
            return found
        return {}

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"the demo ended early: {self.process.communicate()}")
            assert time.monotonic() < end, f"not within {timeout_s} s; {self.logs()}"
            time.sleep(0.05)

    def wait_for_all(self) -> dict[str, Any]:
        self.wait_for(lambda: set(PROCESSES) <= self.status().keys())
        return self.status()

    def events(self) -> list[dict[str, Any]]:
        """The agent's own log so far."""
        path = self.folder / "agent" / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until the demo has started it again."""
        before = self.status()[name]
        os.kill(before["pid"], signal.SIGKILL)
        self.wait_for(lambda: self.status().get(name, before)["starts"] == before["starts"] + 1)

    def finish(self, timeout_s: float = 150.0) -> dict[str, Any]:
        out, err = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode == 0, f"{err}\n{out}\n{self.logs()}"
        summary: dict[str, Any] = json.loads(out)
        return summary

    def logs(self) -> str:
        """The end of every process's log, for the message of a failed test."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(encoding='utf-8')[-1500:]}" for log in logs)


@contextlib.contextmanager
def running_demo(folder: Path, *options: str) -> Iterator[RunningDemo]:
    demo = RunningDemo(folder, *options)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.terminate()
            try:
                demo.process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                demo.process.kill()
                demo.process.communicate()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process], timeout_s: float = 15.0) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
