"""Becomes Mosquitto: the same process, so that whoever ends it has ended the broker."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from schemas.errors import UserError

_READY_WITHIN_S = 10.0
#: Those of deploy/mosquitto/mosquitto.conf, where each is explained.
LIMITS = (
    "max_packet_size 66000",
    "max_queued_messages 100000",
    "max_queued_bytes 200000000",
    "max_inflight_messages 1000",
    "max_keepalive 300",
    "set_tcp_nodelay true",
)


def find(*, required: bool) -> str | None:
    """The installed binary; it often lies where only administrators look."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"])
    binary = shutil.which("mosquitto", path=path)
    if binary is None and required:
        raise UserError("Mosquitto is not installed: install it (apt install mosquitto), or use --engine amqtt")
    return binary


def become(binary: str, host: str, port: int, *, configuration: str, ready: str) -> NoReturn:
    """`ready` is printed as soon as something listens at host and port."""
    folder = Path(tempfile.mkdtemp(prefix="biotrain-broker-"))
    file = folder / "mosquitto.conf"
    file.write_text(configuration)
    _announce_when_ready(host, port, folder, ready)
    os.execv(binary, [binary, "-c", str(file)])  # noqa: S606  no shell, fixed arguments


def configuration(host: str, port: int, state_dir: Path | None) -> str:
    """Open to everybody who reaches the address."""
    lines = [
        f"listener {port} {host}",
        "allow_anonymous true",
        # As root it would become another user, and not be able to write its state.
        f"user {getpass.getuser()}",
        *LIMITS,
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    if state_dir is not None:
        make_state_dir(state_dir)
        lines += ["persistence true", f"persistence_location {state_dir.absolute()}/", "autosave_interval 5"]
    return "\n".join(lines) + "\n"


def make_state_dir(state_dir: Path) -> None:
    """Where the broker keeps sessions and retained messages. Raises UserError when it cannot be made."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--state-dir {state_dir} cannot be made: {error.strerror}") from None


def _announce_when_ready(host: str, port: int, folder: Path, line: str) -> None:
    """A grandchild waits for the port, prints the line, and takes the configuration away; nobody has to wait for it."""
    sys.stdout.flush()
    child = os.fork()
    if child != 0:
        os.waitpid(child, 0)
        return
    if os.fork() != 0:
        os._exit(0)
    end = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            print(line, flush=True)
            break
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
