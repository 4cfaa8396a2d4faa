"""A small plan, windows that it can learn, and a wearable behind either transport."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from device_agent.engine.library import WEARABLE, find_native
from device_agent.sources.window import Window
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import connect
from device_agent.wearable.timing import Timing

CHANNELS, SAMPLES, CLASSES, RATE_HZ = 4, 200, 6, 100.0
#: Short, so that tests of broken links need not wait; the ratios are the product's.
QUICK = Timing(retry_s=0.3, patience_s=8.0, push_patience_s=8.0, ping_s=0.2, silence_s=2.0, open_s=1.0, backoff_s=0.02)


@dataclass(frozen=True)
class Model:
    plan: bytes
    weights: bytes
    other_plan: bytes
    other_weights: bytes


@pytest.fixture(scope="session")
def model() -> Model:
    """An untrained EpiDeNet for short windows, and another model whose files must not be mixed up with it."""
    import torch

    from device_agent.compiler.compile import Signal, compile_model
    from device_agent.models import SIZES, build_model
    from device_agent.models.norms import with_group_norm

    def files(classes: int) -> tuple[bytes, bytes]:
        torch.manual_seed(classes)
        size = SIZES["epidenet-short"]
        module = with_group_norm(build_model("epidenet-short", type(size)(CHANNELS, SAMPLES, classes, RATE_HZ)))
        channels = tuple(f"E{i}" for i in range(CHANNELS))
        signal_ = Signal(channels, SAMPLES, RATE_HZ, tuple(f"grip {i}" for i in range(classes)))
        compiled = compile_model(module, signal_, name="epidenet-short")
        return compiled.file, compiled.weights_file(module)

    return Model(*files(CLASSES), *files(CLASSES - 1))


def make_window(id_: int, label: int | type[Ellipsis] | None = ...) -> Window:
    """Its class, `id_ % CLASSES`, shows in frequency and channel; the label is that class unless another is given."""
    rng = np.random.default_rng(id_)
    kind = id_ % CLASSES
    values = rng.normal(0, 100, (CHANNELS, SAMPLES))
    values[kind % CHANNELS] += 300 * np.sin(np.arange(SAMPLES) * (0.1 + 0.05 * kind))
    scale = np.full(CHANNELS, 0.01, np.float32)
    return Window(id_, values.astype(np.int16), scale, RATE_HZ, 1e9 + id_, kind if label is ... else label)


@dataclass
class Process:
    """A virtual wearable, its storage and its log; may be killed and started again."""

    folder: Path
    arguments: list[str] = field(default_factory=list)
    address: str = "127.0.0.1:0"
    running: subprocess.Popen[str] | None = None

    @property
    def storage(self) -> Path:
        return self.folder / "wearable.flash"

    @property
    def log(self) -> Path:
        return self.folder / "wearable.log"

    def start(self) -> None:
        words = [str(find_native(WEARABLE)), "--listen", self.address, "--storage", str(self.storage)]
        words += ["--log", str(self.log), "--json", *self.arguments]
        self.running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.running.stdout is not None
        ready = json.loads(self.running.stdout.readline())
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


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    process.start()
    yield process
    if process.running is not None:
        process.stop(signal.SIGKILL)


@pytest.fixture(params=["local", "tcp"])
async def wearable(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LinkWearable]:
    """The same wearable, in this process and behind TCP: whoever uses it cannot tell."""
    if request.param == "tcp":
        process: Process = request.getfixturevalue("process")
        wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    else:
        wearable = await connect("local", timing=QUICK, storage=tmp_path / "local.flash")
    yield wearable
    await wearable.close()
