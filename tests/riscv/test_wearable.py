"""The RISC-V image behind its link: whoever uses it sees the host's wearable, only slower."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from device_agent.sources.window import Window
from device_agent.wearable.api import Bank, DeviceEventKind, FitRequest, WearableError
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect, provision
from schemas.weights import read_weights

pytestmark = pytest.mark.slow

FIT = FitRequest(fit_id=3, window_ids=range(16), epochs=3, learning_rate=0.02)


def words(port: str, *more: object) -> list[str]:
    return [sys.executable, "-m", "biotrain", "wearable", "--port", port, *map(str, more)]


@dataclass
class Device:
    """A wearable on either port, its storage and its log; may be killed and started again."""

    port: str
    folder: Path
    cores: int = 1
    address: str = "127.0.0.1:0"
    arguments: list[str] = field(default_factory=list)
    running: subprocess.Popen[str] | None = None

    @property
    def storage(self) -> Path:
        return self.folder / "wearable flash"  # a path with a space

    @property
    def log(self) -> Path:
        return self.folder / "wearable.log"

    def start(self) -> None:
        more = ["--storage", self.storage, "--log", self.log, "--listen", self.address, "--json", *self.arguments]
        if self.port == "riscv":
            more += ["--cores", self.cores]
        self.running = subprocess.Popen(words(self.port, *more), stdout=subprocess.PIPE, text=True)
        assert self.running.stdout is not None
        ready = json.loads(self.running.stdout.readline())
        assert ready["ready"] is True
        assert ready["pid"] == self.running.pid
        self.address = ready["address"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.running is not None
        self.running.send_signal(number)
        code = self.running.wait(timeout=5)
        assert self.running.stdout is not None
        self.running.stdout.close()
        self.running = None
        return code

    def logged(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def connect(self) -> LinkWearable:
        return await connect(f"tcp://{self.address}")


@pytest.fixture
def device(tmp_path: Path, wearable_image: Path) -> Iterator[Device]:
    device = Device("riscv", tmp_path)
    device.start()
    yield device
    if device.running is not None:
        device.stop(signal.SIGKILL)


def windows(model) -> list[Window]:
    w = model.windows
    return [
        Window(i, counts, model.scale, 100.0, 1e9 + i, int(label))
        for i, (counts, label) in enumerate(zip(w.counts, w.labels, strict=True))
    ]


async def wait_for(wearable: LinkWearable, kind: DeviceEventKind) -> None:
    async with asyncio.timeout(60):
        async for event in wearable.events():
            if event.kind is kind:
                return


async def life(device: Device, model) -> dict[str, object]:
    """What a wearable answers to windows, a fit and a commit; times left out."""
    device.start()
    try:
        wearable = await device.connect()
        await provision(wearable, model.plan.file, model.weights)
        told: dict[str, object] = {"info": wearable.info}
        reports = [await wearable.push(window) for window in windows(model)]
        told["reports"] = [(r.window_id, r.predicted, r.probabilities, r.margin, r.entropy, r.features,
                            r.flat_channels, r.saturated_channels, r.label) for r in reports]  # fmt: skip
        await wearable.start_fit(FIT)
        await wait_for(wearable, DeviceEventKind.FIT_DONE)
        told["candidate"] = await wearable.read_weights(Bank.CANDIDATE)
        told["version"] = await wearable.commit()
        told["predicted"] = await wearable.evaluate(range(16), Bank.SERVING)
        statistics = await wearable.statistics()
        told["statistics"] = (statistics.windows, statistics.fit_steps, statistics.total_bytes)
        assert statistics.frames_corrupt == 0
        memory = model.plan.report["memory"]
        assert statistics.total_bytes == memory["total_bytes"], "the executor's own count"
        marks = statistics.extra["arena_mark_bytes"], statistics.extra["l1_mark_bytes"]
        assert marks == (memory["arena_bytes"], memory["l1_bytes"]), "at both levels"
        assert memory["l1_bytes"] > 0
        await wearable.close()
    finally:
        assert device.stop() == 0
    told["log"] = [
        {k: v for k, v in event.items() if k not in ("time_us", "l2_peak_bytes")} for event in device.logged()
    ]
    return told


async def test_every_answer_is_the_hosts_to_the_last_bit(tmp_path, wearable_image, model):
    for name in ("host", "riscv"):
        (tmp_path / name).mkdir()
    host = await life(Device("host", tmp_path / "host"), model)
    machine = await life(Device("riscv", tmp_path / "riscv", cores=2), model)
    for what, answer in host.items():
        assert machine[what] == answer, what
    assert (
        read_weights(host["candidate"], model.plan.hash).values != read_weights(model.weights, model.plan.hash).values
    )


async def test_what_was_committed_outlives_a_kill(device, model):
    wearable = await device.connect()
    await provision(wearable, model.plan.file, model.weights)
    for window in windows(model):
        await wearable.push(window)
    await wearable.start_fit(FIT)
    await wait_for(wearable, DeviceEventKind.FIT_DONE)
    version = await wearable.commit()
    committed = await wearable.read_weights()
    await wearable.close()
    assert device.stop(signal.SIGKILL) == -signal.SIGKILL
    with device.log.open("a") as log:
        log.write('{"index":99,"cut')  # the kill came in the middle of a line
    device.start()
    wearable = await device.connect()
    assert wearable.info.weights_version == version
    assert wearable.info.boot == 2
    assert await wearable.read_weights() == committed
    await wearable.roll_back()
    assert await wearable.read_weights() == model.weights
    await wearable.close()
    indices = [event["index"] for event in device.logged()]
    assert indices == list(range(1, len(indices) + 1))


async def test_an_agent_that_is_gone_is_followed_by_another(device, model):
    wearable = await device.connect()
    await provision(wearable, model.plan.file, model.weights)
    for window in windows(model):
        await wearable.push(window)
    await wearable.start_fit(FitRequest(fit_id=9, window_ids=range(16), epochs=200))
    await wearable.close()  # in the middle of the fit
    _, writer = await asyncio.open_connection(*device.address.split(":"))
    writer.write(b"half a fra")
    await writer.drain()
    writer.close()
    second = await device.connect()
    assert (await second.statistics()).fitting
    assert (await second.push(windows(model)[0])).window_id == 0
    await second.stop_fit()
    await second.close()


async def test_a_refusal_comes_back_as_from_the_host(device, model):
    wearable = await device.connect()
    await provision(wearable, model.plan.file, model.weights)
    with pytest.raises(WearableError) as refused:
        await wearable.commit()
    assert refused.value.code == "WRONG_STATE"
    await wearable.close()


async def test_it_records_by_itself_on_its_own_clock(tmp_path, wearable_image, model):
    w = model.windows
    np.savez(
        tmp_path / "X_session1.npz", x=w.counts, y=w.labels.astype(np.int8), fs=100.0, scale=model.scale, unit="uV",
        classes=[f"class{i}" for i in range(6)], ch_names=[f"ch{i}" for i in range(4)], subject="X", session=1,
    )  # fmt: skip
    (tmp_path / "plan").write_bytes(model.plan.file)
    (tmp_path / "weights").write_bytes(model.weights)
    device = Device("riscv", tmp_path)
    for name, value in (("plan", "plan"), ("weights", "weights"), ("record", "X_session1.npz")):
        device.arguments += [f"--{name}", str(tmp_path / value)]
    device.arguments += ["--speed", "20"]
    device.start()
    wearable = await device.connect()
    pushed = [await wearable.push(window) for window in windows(model)]
    await wearable.start_recording()
    reports = []
    async with asyncio.timeout(20):
        async for report in wearable.reports():
            reports.append(report)
            if len(reports) == len(pushed):
                break
    assert [report.window_id for report in reports] == list(range(len(pushed)))
    assert [report.label for report in reports] == w.labels.tolist()
    assert [report.probabilities for report in reports] == [report.probabilities for report in pushed]
    period_us = w.counts.shape[2] / 100 / 20 * 1e6
    assert reports[-1].time_us - reports[0].time_us == pytest.approx((len(reports) - 1) * period_us, rel=0.01)
    await wearable.close()
    device.stop()


def refusal(*more: object) -> str:
    done = subprocess.run(words("riscv", *more), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    return " ".join(done.stderr.split())


def test_storage_in_use_is_named_with_what_to_do(device):
    said = refusal("--storage", device.storage)
    assert str(device.storage) in said
    assert "in use" in said


def test_a_port_in_use_is_named_with_what_to_do(tmp_path, wearable_image):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refusal("--storage", tmp_path / "flash", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert "in use" in said
    assert "choose another port" in said


def test_what_it_cannot_start_with_is_named(tmp_path, wearable_image, model):
    storage = tmp_path / "flash"
    (tmp_path / "short").write_bytes(b"x")
    assert "has 1 bytes" in refusal("--storage", tmp_path / "short")
    assert "not HOST:PORT" in refusal("--storage", storage, "--listen", "nowhere")
    assert "3 cores" in refusal("--storage", storage, "--cores", 3)
    (tmp_path / "plan").write_bytes(model.plan.file[:-8])
    assert "--plan was refused" in refusal("--storage", storage, "--plan", tmp_path / "plan")
    assert "folder" in refusal("--storage", storage, "--log", tmp_path / "missing" / "log")
