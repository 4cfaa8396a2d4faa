"""The link over a pseudo-terminal pair: real terminal devices on both sides, with a cable between them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_agent.wearable.api import DeviceEventKind, FitRequest, WearableLost
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.serial_line import from_address
from device_agent.wearable.transport import TransportError
from device_agent.wearable.transports import SCHEMES
from schemas.errors import UserError
from tests.wearable.conftest import QUICK, make_window
from tests.wearable.test_wearable import events_until


@dataclass
class Cable:
    """Two terminal devices; what is written to one can be read from the other."""

    masters: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    plugged: bool = True

    def __post_init__(self) -> None:
        for _ in range(2):
            master, slave = pty.openpty()
            tty.setraw(master)
            self.masters.append(master)
            self.ends.append(os.ttyname(slave))
            self._keep = [*getattr(self, "_keep", []), slave]  # so that a closed end is no hang-up, as on a UART
        for source, target in ((0, 1), (1, 0)):
            threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: int, target: int) -> None:
        try:
            while data := os.read(self.masters[source], 4096):
                while data and self.plugged:
                    data = data[os.write(self.masters[target], data) :]
        except OSError:
            return

    def close(self) -> None:
        for file in (*self.masters, *self._keep):
            os.close(file)


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable()
    yield cable
    cable.close()


def start(cable: Cable, folder: Path, port: str, *more: str) -> subprocess.Popen[str]:
    words = ["--port", port, "--storage", str(folder / "flash"), "--serial", cable.ends[1], "--json", *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "biotrain", "wearable", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["address"] == cable.ends[1]
    return process


def stop(process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> None:
    assert process.stdout is not None
    process.send_signal(how)
    process.wait(timeout=10)
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize(("port", "line"), [("host", []), ("riscv", []), ("riscv", ["--uart"])])
async def test_a_wearable_is_fed_trained_and_restarted_over_a_serial_line(cable, model, tmp_path, port, line):
    if port == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, _find

        if not all(_find(name) for name in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
    process = start(cable, tmp_path, port, *line)
    wearable = await connect(f"serial://{cable.ends[0]}", timing=QUICK)
    try:
        await provision(wearable, model.plan, model.weights)
        for id_ in range(12):
            assert (await wearable.push(make_window(id_))).window_id == id_
        await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(12), epochs=2))
        await events_until(wearable, DeviceEventKind.FIT_DONE)
        assert await wearable.commit() == 2
        committed = await wearable.read_weights()
        stop(process, signal.SIGKILL)
        process = start(cable, tmp_path, port, *line)
        assert await wearable.read_weights() == committed  # the same object: the link has come back by itself
        assert (wearable.info.boot, wearable.info.weights_version) == (2, 2)
        cable.plugged = False
        await asyncio.sleep(QUICK.silence_s + 0.5)
        cable.plugged = True
        assert (await wearable.push(make_window(50))).weights_version == 2
        assert wearable.reconnections >= 2
    finally:
        await wearable.close()
        stop(process)


async def test_a_line_that_is_not_there_is_named():
    with pytest.raises(WearableLost, match="serial:///dev/no-such-line: No such file"):
        await connect("serial:///dev/no-such-line", timing=QUICK, patience_s=0.2)


async def test_a_file_is_no_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransportError, match="is no serial line"):
        await from_address(str(tmp_path / "file")).open()


def test_a_speed_that_the_system_does_not_know_is_refused():
    assert from_address("/dev/ttyS0?baud=115200").address == "serial:///dev/ttyS0"
    for wrong in ("/dev/ttyS0?baud=123", "/dev/ttyS0?speed=9600", "/dev/ttyS0?baud=fast", "/dev/ttyS0?9600"):
        with pytest.raises(UserError, match=r"\?baud=115200"):
            from_address(wrong)


def test_every_transport_is_told_in_the_documentation(repository):
    told = (repository / "docs" / "link-protocol.md").read_text()
    for name, scheme in SCHEMES.items():
        assert f"`{scheme.example}`" in told, name


@pytest.mark.parametrize("words", [["--serial", "/dev/no-such-line"], ["--serial", "/dev/null"]])
@pytest.mark.parametrize("port", ["host", pytest.param("riscv", marks=pytest.mark.slow)])
def test_the_wearable_refuses_what_is_no_line(tmp_path, words, port):
    command = [sys.executable, "-m", "biotrain", "wearable", "--port", port, "--storage", str(tmp_path / "flash")]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "terminal device" in " ".join(done.stderr.split())
