"""Does what a page of the documentation says, as a newcomer would: block after block, from an empty folder.

A comment before a block says what is special about it:

    <!-- beside -->             each line is a process of its own, that goes on while the rest of the page is done
    <!-- not run: REASON -->    cannot be done here, and why

Blocks in Python, YAML or TOML whose first line is a comment with a file's name are written to that file.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.brokers import free_port

_BLOCK = re.compile(
    r"(?:^<!-- (?P<how>beside|not run: [^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"#\s*([\w./-]+\.(?:py|yaml|toml))\b")
#: Of the pages, on loopback: other tests, and the reader's own processes, may hold them.
PORTS = ("1883", "5433", "8000", "7777", "8765", "8090")


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str
    how: str
    """`beside`, `not run: ...`, or nothing."""

    @property
    def commands(self) -> list[str]:
        """Lines of a shell block, those that are continued joined, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines) if line]


def read_blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(one["language"], one["text"], one["how"] or "") for one in _BLOCK.finditer(text)]


@dataclass
class Walk:
    """One reader in one folder. Use it as a context manager: what runs beside is ended, and must not have failed."""

    folder: Path
    repository: Path
    timeout_s: float = 240.0
    _ports: dict[str, str] = field(default_factory=dict)
    _beside: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ports = {port: str(free_port()) for port in PORTS}
        # a reader stands in a clone: what the pages name by relative paths is there
        for name in ("biotrain", "datasets", "deploy", "docs", "examples", "tools"):
            (self.folder / name).symlink_to(self.repository / name)

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *error: object) -> None:
        failed = []
        for command, process in reversed(self._beside):
            code = process.poll()
            if code is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    code = process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    code = -9
            if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
                failed.append(f"{command}: code {code}\n{self._log(process).read_text()[-2000:]}")
        if error[0] is None and failed:
            raise AssertionError("\n".join(failed))

    def do(self, block: Block) -> None:
        """Raises AssertionError with what was said when a command fails."""
        named = _FILE.match(block.text)
        if block.language in ("python", "yaml", "toml") and named:
            path = self.folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        if block.language != "sh" or block.how.startswith("not run"):
            return
        for command in block.commands:
            (self._start if block.how == "beside" else self._run)(command)

    def _run(self, command: str) -> None:
        done = subprocess.run(
            ["bash", "-c", self._here(command)], cwd=self.folder, env=self._environment(), capture_output=True,
            text=True, timeout=self.timeout_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def _start(self, command: str) -> None:
        """Returns when it has said its first word."""
        log = self.folder / f"beside-{len(self._beside)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {self._here(command)}" if "=" not in command.split()[0] else self._here(command)],
                cwd=self.folder, env=self._environment(), stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._beside.append((command, process))
        deadline = time.monotonic() + 60
        while not log.stat().st_size and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() in (None, 0), f"{command}\n{log.read_text()[-2000:]}"

    def _log(self, process: subprocess.Popen[bytes]) -> Path:
        number = next(i for i, (_, other) in enumerate(self._beside) if other is process)
        return self.folder / f"beside-{number}.log"

    def _here(self, command: str) -> str:
        for port, free in self._ports.items():
            command = re.sub(rf"(127\.0\.0\.1:){port}\b", rf"\g<1>{free}", command)
        return command

    def _environment(self) -> dict[str, str]:
        """The commands of this environment first, and nothing kept from another walk."""
        bin_folder = str(Path(sys.executable).parent)
        assert shutil.which("biotrain", path=bin_folder), "the environment of the tests has no biotrain command"
        return os.environ | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "BIOTRAIN_CACHE": str(self.folder / ".cache"),
            "BIOTRAIN_SUPERVISOR_LISTEN": f"127.0.0.1:{self._ports['8000']}",  # where a page leaves it at its default
            "COLUMNS": "120",
            "OMP_NUM_THREADS": "1",
        }
