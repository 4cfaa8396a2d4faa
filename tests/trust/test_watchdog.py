"""What systemd hears of a process: that it is up, and that it still turns. This test stands in systemd's place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ALLOWED_S = 2.0
"""`WatchdogSec`."""


def heard(listening: socket.socket, within_s: float) -> str:
    """The next line; empty when none comes."""
    listening.settimeout(within_s)
    try:
        return listening.recv(100).decode()
    except TimeoutError:
        return ""


@pytest.mark.slow
@pytest.mark.parametrize("process", ["supervisor", "agent"])
def test_a_process_says_that_it_is_up_and_goes_on_until_it_hangs(process: str, tmp_path: Path) -> None:
    words = {
        "supervisor": ["--store", f"sqlite:///{tmp_path}/b.db", "--listen", "127.0.0.1:0", "--broker", "127.0.0.1:1"],
        "agent": ["--state-dir", str(tmp_path / "a"), "--broker", "127.0.0.1:1", "--wearable", "tcp://127.0.0.1:1"],
    }[process]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(round(ALLOWED_S * 1e6))}
        with subprocess.Popen(
            [sys.executable, "-m", "biotrain", process, *words], env=os.environ | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as running:  # fmt: skip
            try:
                said = [heard(listening, 60)]
                while "READY=1" not in said:  # a supervisor waits for its broker first, for some seconds
                    said.append(heard(listening, 60))
                    assert said[-1]
                assert set(said) <= {"READY=1", "WATCHDOG=1"}
                for _ in range(3):
                    assert heard(listening, 30) == "WATCHDOG=1"
                # hung, as seen from outside: systemd would kill it now
                running.send_signal(signal.SIGSTOP)
                time.sleep(0.1)
                while heard(listening, 0.01):
                    pass
                assert heard(listening, ALLOWED_S) == ""
            finally:
                running.kill()


def test_without_systemd_nothing_is_said() -> None:
    code = (
        "import asyncio\nfrom biotrain.watchdog import keep_saying, notify\n"
        "notify('READY=1')\nasyncio.run(keep_saying())\n"
    )
    bare = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
