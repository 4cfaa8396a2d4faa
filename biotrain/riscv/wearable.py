"""The RISC-V image as a wearable: this process becomes the emulator, whose serial line is the link's TCP port."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from biotrain.files import write_whole
from biotrain.riscv.image import WEARABLE_IMAGE, image
from biotrain.riscv.machine import machine_words
from schemas.errors import UserError

STORAGE_BYTES = 6_934_528
"""`BT_STORAGE_BYTES` of app/layout.h; a test compares the two."""
_TAIL_BYTES = 1024


@dataclass(frozen=True, slots=True)
class RiscvWearable:
    """As `biotrain wearable` takes them; `recording` is a file that the device reads (recording_file.py)."""

    storage: Path
    listen: str = "127.0.0.1:0"
    log: Path | None = None
    plan: Path | None = None
    weights: Path | None = None
    device_id: str = "wearable-1"
    recording: Path | None = None
    speed: float = 1.0
    cores: int = 1
    as_json: bool = False
    serial: Path | None = None
    """A terminal device that the link goes over instead of TCP."""
    uart: bool = False
    """The link goes over the board's UART instead of the paravirtual line: slower, and as on a real serial port."""
    watchdog_s: float = 30.0
    """The device starts again when it has served nothing for so long; 0: never."""

    def run(self) -> None:
        """Never returns. Raises UserError when it cannot start."""
        elf = image(WEARABLE_IMAGE)
        _hold_storage(self.storage)
        if self.serial is None:
            listener = _listen(self.listen)
            address = f"{self.listen.rpartition(':')[0]}:{listener.getsockname()[1]}"
            os.set_inheritable(listener.fileno(), True)
            line = f"socket,id=link,fd={listener.fileno()},server=on,wait=off"
        else:
            address = str(self.serial)
            line = f"serial,id=link,path={_terminal(self.serial)}"
        folder = self._folder(address)
        arguments = {"logged": _last_logged(self.log), "speed": max(1, round(self.speed * 100))}
        arguments |= {"watchdog": round(self.watchdog_s * 1000), "uart": int(self.uart)}
        words = machine_words(elf, cores=self.cores, arguments=arguments)
        words += ["-chardev", line]
        if self.uart:
            words += ["-serial", "chardev:link"]
        else:
            words += ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-serial-device"]
            words += ["-device", "virtconsole,chardev=link"]
        os.chdir(folder)
        # the same process from here on: signals and exit code are the machine's own
        os.execv(words[0], words)  # noqa: S606  no shell, fixed arguments

    def _folder(self, address: str) -> Path:
        """Where the machine finds its files, under names that its program knows."""
        folder = self.storage.with_name(self.storage.name + ".riscv").absolute()
        folder.mkdir(exist_ok=True)
        links = {
            "storage": self.storage, "log": self.log, "plan": self.plan, "weights": self.weights,
            "recording": self.recording,
        }  # fmt: skip
        for name, file in links.items():
            (folder / name).unlink(missing_ok=True)
            if file is not None:
                (folder / name).symlink_to(file.absolute())
        ready = json.dumps({"ready": True, "address": address, "pid": os.getpid()}, separators=(",", ":"))
        spoken = ready if self.as_json else f"wearable {self.device_id} listens on {address}"
        write_whole(folder / "ready", spoken.encode())
        write_whole(folder / "device-id", self.device_id.encode())
        return folder


def _hold_storage(path: Path) -> None:
    """Make it when it is missing, and keep others from it for as long as this process, and the emulator, lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        size = os.fstat(file).st_size
    except OSError as error:
        raise UserError(
            f"cannot open the storage file {path}: {error.strerror}; name a file that can be written"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UserError(
            f"the storage file {path} is in use by another wearable; stop that one, or name another file"
        ) from None
    if size == 0:
        os.ftruncate(file, STORAGE_BYTES)
    elif size != STORAGE_BYTES:
        raise UserError(
            f"{path} has {size} bytes, a wearable's storage has {STORAGE_BYTES}; name another file, or a new one, "
            "which is then created"
        )
    os.set_inheritable(file, True)


def _terminal(path: Path) -> str:
    """As the emulator's command line has it, where a comma would end it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise UserError(
            f"cannot open the serial line {path}: {error.strerror}; name a terminal device that can be read and written"
        ) from error
    terminal = os.isatty(file)
    os.close(file)
    if not terminal:
        raise UserError(f"{path} is no terminal device; name one, e.g. /dev/ttyUSB0")
    return str(path.absolute()).replace(",", ",,")


def _listen(address: str) -> socket.socket:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"--listen {address} is not HOST:PORT; write for example 127.0.0.1:7777, or port 0 for any free one"
        )
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted inherits it
        listener.bind(place)
        listener.listen(4)
    except OSError as error:
        raise UserError(
            f"cannot listen on {address}: {error.strerror}; choose another port with --listen, or port 0 for any "
            "free one"
        ) from error
    return listener


def _last_logged(log: Path | None) -> int:
    """The index of the newest event in the log; a line that a kill left unfinished is cut off."""
    if log is None:
        return 0
    try:
        with log.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            whole, newline, _ = file.read().rpartition(b"\n")
            file.truncate(start + len(whole) + len(newline))
    except OSError as error:
        raise UserError(f"cannot open the log {log}: {error.strerror}; name a file that can be written") from error
    found = re.match(rb'\{"index":(\d+)', whole.rpartition(b"\n")[2])
    return int(found[1]) if found else 0
