"""SIGTERM ends every process within five seconds, also when its peers do not answer."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.principal import Principal, Role
from tests.trust.site import Site

WITHIN_S = 5.0


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word: a broker that hangs before the TLS handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield int(listening.getsockname()[1])


def end_in_time(words: list[str], after_s: float = 1.5) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "biotrain", *words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["ready"] is True
            time.sleep(after_s)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(3 * WITHIN_S)
            took = time.monotonic() - began
        finally:
            process.kill()
    assert took < WITHIN_S
    assert process.returncode == 0


def folder(site: Site, role: Role, name: str) -> str:
    return str(site.authority.holder_folder(Principal(role, name)))


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_an_agent_whose_broker_and_wearable_do_not_answer(site: Site, silent: int, tls: bool, tmp_path: Path) -> None:
    words = ["agent", "--state-dir", str(tmp_path / "a"), "--broker", f"127.0.0.1:{silent}"]
    words += ["--wearable", f"tcp://127.0.0.1:{silent}", "--trials", "22"]
    end_in_time(words + (["--identity", folder(site, Role.DEVICE, "left")] if tls else []))


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_a_supervisor_whose_broker_does_not_answer(site: Site, silent: int, tls: bool, tmp_path: Path) -> None:
    words = ["supervisor", "--store", f"sqlite:///{tmp_path}/b.db", "--listen", "127.0.0.1:0"]
    words += ["--broker", f"127.0.0.1:{silent}"]
    end_in_time(words + (["--identity", folder(site, Role.SUPERVISOR, "main")] if tls else []))
