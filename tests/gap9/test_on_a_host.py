"""The GAP9 port's own code, running: its SDK is a few threads (pmsis_on_a_host.c), and an agent cannot tell it from the
virtual wearable."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest
from device_agent.wearable.connect import connect, provision
from tests.wearable.conftest import QUICK, Model, make_window, model
from tests.wearable.test_wearable import events_until

__all__ = ["model"]  # a fixture

pytestmark = pytest.mark.slow
COUNT = 12
FIT = FitRequest(fit_id=1, window_ids=range(COUNT), epochs=4, learning_rate=0.02, seed=3)


@dataclass
class Chip:
    program: Path
    flash: Path
    port: int
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {"BIOTRAIN_FLASH": str(self.flash), "BIOTRAIN_PORT": str(self.port)}
        self.running = subprocess.Popen([str(self.program)], env={**os.environ, **own})

    def kill(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(timeout=5)


@pytest.fixture
def chip(tmp_path: Path, repository: Path) -> Iterator[Chip]:
    firmware = repository / "device_agent" / "firmware"
    parts = ("runtime/*.c", "runtime/kernels/*.c", "protocol/*.c", "app/*.c", "trust/*.c", "port/gap9/*.c")
    sources = [path for part in parts for path in sorted(firmware.glob(part))]
    sources.append(Path(__file__).with_name("pmsis_on_a_host.c"))
    # addresses of 32 bits, as on the chip; plain code, quickly compiled
    options = ["-std=gnu11", "-O1", "-ffp-contract=off", "-fno-pie", "-no-pie", "-pthread"]
    options += ["-DBT_KERNEL_SET=base", "-DBT_ONLY_BASE_KERNELS", "-fno-math-errno", "-fno-trapping-math"]
    folders = (firmware / "include", firmware / "runtime", firmware / "port/gap9", firmware / "port/gap9/declarations")
    includes = [f"-I{folder}" for folder in folders]
    program = tmp_path / "chip"
    subprocess.run(["cc", *options, *includes, *map(str, sources), "-lm", "-o", str(program)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chip = Chip(program, tmp_path / "flash", port)
    chip.start()
    yield chip
    chip.kill()


async def test_an_agent_provisions_it_trains_it_and_finds_it_again_after_a_power_cut(chip: Chip, model: Model) -> None:
    beside = await connect("local", timing=QUICK)
    gap9 = await connect(f"tcp://127.0.0.1:{chip.port}", timing=QUICK)
    try:
        told = []
        for wearable in (beside, gap9):
            await provision(wearable, model.plan, model.weights)
            reports = [await wearable.push(make_window(id_)) for id_ in range(COUNT)]
            await wearable.start_fit(FIT)
            await events_until(wearable, DeviceEventKind.FIT_DONE)
            candidate = await wearable.read_weights(Bank.CANDIDATE)
            assert await wearable.commit() == 2
            told.append(([(r.predicted, r.probabilities) for r in reports], candidate[128:]))
        assert told[0] == told[1]  # the same bits as the host's
        assert gap9.info.device_id == "gap9-1"
        committed = await gap9.read_weights()
        chip.kill()
        chip.start()
        assert await gap9.read_weights() == committed
        assert (gap9.info.boot, gap9.info.weights_version) == (2, 2)
        assert await gap9.roll_back() == 1
        assert await gap9.read_weights() == model.weights
        assert await gap9.choose_wearer("anna") == 0
        assert await gap9.erase_wearer("anna") == 1
        clock = [(await gap9.statistics()).uptime_us for _ in range(3)]
        assert clock == sorted(clock)
    finally:
        await gap9.close()
        await beside.close()
