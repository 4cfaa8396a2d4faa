"""A wearable that hangs starts again by itself, with what was committed last."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_agent.sources.window import Window
from device_agent.wearable.api import WearableLost
from device_agent.wearable.connect import connect, provision
from schemas.plan import Region, View, read_plan
from schemas.weights import Origin, Weights
from tests.runtime.handmade import Code, tiny_plan
from tests.wearable.conftest import QUICK

VALUES = 100_000


def endless_plan() -> bytes:
    """An inference of minutes: the verifier bounds the work of a plan, and this stays below the bound."""
    first, second = View(Region.ARENA, 1024, (VALUES,)), View(Region.ARENA, 1024 + 4 * VALUES, (VALUES,))
    code = Code().loop(1000).loop(1000).run("copy", 11, 12).end_loop().end_loop().run("linear_forward", 0, 1, 2, 3)
    return tiny_plan(code, (first, second), arena=1024 + 8 * VALUES)


def small_window(id_: int) -> Window:
    return Window(id_, np.arange(16, dtype=np.int16).reshape(2, 8), np.ones(2, np.float32), 100.0, 1e9, 0)


def weights_for(plan: bytes) -> bytes:
    values = np.linspace(-1, 1, 34).astype("<f4").tobytes()
    return Weights(read_plan(plan).hash, 7, values, Origin.PRETRAINED).pack()


@pytest.mark.parametrize(
    ("port", "cores"), [("host", 1), *(pytest.param("riscv", n, marks=pytest.mark.slow) for n in (1, 2))]
)
async def test_a_hang_becomes_a_start_with_the_last_committed_model(tmp_path: Path, port: str, cores: int) -> None:
    if port == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, _find

        if not all(_find(name) for name in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
    words = ["--storage", str(tmp_path / "flash"), "--log", str(tmp_path / "log"), "--watchdog", "0.5", "--json"]
    words += ["--port", port, *(["--cores", str(cores)] if cores > 1 else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "biotrain", "wearable", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    address = json.loads(process.stdout.readline())["address"]
    timing = replace(QUICK, push_patience_s=0.4, patience_s=20.0)
    wearable = await connect(f"tcp://{address}", timing=timing)
    try:
        good, endless = tiny_plan(), endless_plan()
        await provision(wearable, good, weights_for(good))
        assert (await wearable.push(small_window(1))).weights_version == 7
        await wearable.write_plan(endless)
        await wearable.write_weights(weights_for(endless))
        with pytest.raises(WearableLost):
            await wearable.push(small_window(2))
        assert await wearable.read_weights() == weights_for(endless)  # it answers again, and holds what it held
        assert wearable.info.boot > 1
        await wearable.write_plan(good)
        assert await wearable.read_weights() == weights_for(good)
        assert (await wearable.push(small_window(3))).weights_version == 7
    finally:
        await wearable.close()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    boots = [line for line in map(json.loads, (tmp_path / "log").read_text().splitlines()) if line["kind"] == "BOOTED"]
    assert [boot["detail"] for boot in boots[:2]] == ["NO_PLAN", "watchdog"]
    assert "the watchdog: nothing was served for too long" in said
    assert process.returncode == 0
