"""A real supervisor process for tests: start, kill, start again on the same database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent


class SupervisorProcess:
    """`biotrain supervisor --json`, with its log beside its database."""

    def __init__(
        self,
        folder: Path,
        broker: str,
        *options: str,
        store: Path | None = None,
        store_url: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._environment = environment or {}
        self.store = store or folder / "biotrain.db"
        self.url = ""
        self._folder = folder
        self._command = [
            sys.executable, "-m", "biotrain", "supervisor", "--broker", broker, "--store", store_url or f"sqlite:///{self.store}",
            "--listen", "127.0.0.1:0", "--json", *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it is ready; raises when it leaves instead, with what it said."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **self._environment}
        with (self._folder / "supervisor.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, cwd=self._folder, env=environment
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait(10)
            self._process.stdout.close()
            self._process = None
            raise RuntimeError(f"the supervisor left with code {code}: {self.log()[-2000:]}")
        self.url = json.loads(line)["url"]
        # Started again, it is found where it was.
        self._command[self._command.index("--listen") + 1] = self.url.partition("://")[2]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def get(self, path: str, **parameters: Any) -> Any:
        response = httpx.get(self.url + path, params=parameters, timeout=10)
        response.raise_for_status()
        return response.json()

    def log(self) -> str:
        return (self._folder / "supervisor.log").read_text()

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        code = process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
        return code
