"""The virtual wearable as a process: what it says when something is wrong, and what it keeps when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from device_agent.engine.library import WEARABLE, find_native
from device_agent.wearable.api import DeviceEventKind, FitRequest, WearableError, WearableLost
from device_agent.wearable.connect import connect, provision
from device_agent.wearable.recording_file import pack_recording
from tests.wearable.conftest import CLASSES, QUICK, RATE_HZ, SAMPLES, Process, make_window
from tests.wearable.test_wearable import FIT, events_until, fitted


def refusal(*words: object) -> str:
    """What it says on stderr when it does not start."""
    done = subprocess.run(
        [str(find_native(WEARABLE)), *map(str, words)], capture_output=True, text=True, timeout=5, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


def test_a_port_in_use_is_named_with_what_to_do(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refusal("--storage", tmp_path / "flash", "--listen", address)
    assert address in said
    assert "in use" in said
    assert "choose another port" in said


def test_storage_in_use_is_named_with_what_to_do(process):
    said = refusal("--storage", process.storage)
    assert "in use by another wearable" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--storage", "/nowhere/flash"], "cannot open the storage file /nowhere/flash"),
        (["--listen", "127.0.0.1:0"], "--storage FILE is missing"),
        (["--storage", "FLASH", "--listen", "localhost"], "is not HOST:PORT"),
        (["--storage", "FLASH", "--listen", "127.0.0.1:99999"], "is not HOST:PORT"),
        (["--storage", "FLASH", "--speed", "0"], "--speed: unknown option, or its value is missing or impossible"),
        (["--storage", "FLASH", "--plan", "/nowhere.plan"], "cannot read /nowhere.plan"),
        (["--storage", "FLASH", "--recording", __file__], "is not a whole recording"),
        (["--storage", "FLASH", "--plan", __file__], "was refused: BAD_MAGIC"),
        (["--storage", __file__], "a wearable's storage has"),
    ],
)
def test_what_is_wrong_with_an_option_is_said(words, expected, tmp_path):
    assert expected in refusal(*[str(tmp_path / "flash") if word == "FLASH" else word for word in words])


def test_it_stops_cleanly_when_asked(process):
    assert process.stop(signal.SIGTERM) == 0
    process.start()
    assert process.stop(signal.SIGINT) == 0


async def test_killed_at_any_time_it_comes_back_with_what_was_committed(process, model):
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    told = {(e.boot, e.seq) for e in await fitted(wearable, model)}
    await wearable.commit()
    adapted = await wearable.read_weights()
    await wearable.start_fit(FitRequest(fit_id=2, window_ids=range(60), epochs=400))
    await asyncio.sleep(0.1)
    process.stop(signal.SIGKILL)
    process.start()
    assert await wearable.read_weights() == adapted
    assert wearable.info.boot == 2
    statistics = await wearable.statistics()
    assert not statistics.fitting
    assert statistics.ring_windows == 0
    async with asyncio.timeout(10):
        async for event in wearable.events():
            told.add((event.boot, event.seq))
            if event.kind is DeviceEventKind.BOOTED and event.boot == 2:
                break
    logged = [(line["boot"], line["seq"]) for line in process.logged()]
    assert len(logged) == len(set(logged))
    assert set(logged) == told
    await wearable.close()


async def test_acknowledged_events_are_not_told_again_after_a_restart(process, model):
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    last = (await fitted(wearable, model))[-1]
    await wearable.acknowledge(last.boot, last.seq)
    process.stop(signal.SIGKILL)
    process.start()
    await wearable.statistics()
    async with asyncio.timeout(10):
        async for event in wearable.events():
            if event.boot == 2:
                break
    assert (event.kind, event.seq) == (DeviceEventKind.BOOTED, 1)
    assert (await wearable.statistics()).events_pending == 1
    await wearable.close()


async def test_plan_and_weights_from_the_command_line_do_not_replace_what_was_adapted(tmp_path, model):
    (tmp_path / "a.plan").write_bytes(model.plan)
    (tmp_path / "a.weights").write_bytes(model.weights)
    arguments = ["--plan", str(tmp_path / "a.plan"), "--weights", str(tmp_path / "a.weights")]
    process = Process(tmp_path, arguments)
    process.start()
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    assert wearable.info.weights_version == 1
    await fitted(wearable, model, FIT)
    await wearable.commit()
    adapted = await wearable.read_weights()
    process.stop()
    process.start()
    assert await wearable.read_weights() == adapted
    await wearable.close()
    process.stop()


async def test_a_second_agent_waits_until_the_first_has_gone(process):
    first = await connect(f"tcp://{process.address}", timing=QUICK)
    with pytest.raises(WearableLost, match="is another agent connected"):
        await connect(f"tcp://{process.address}", timing=QUICK, patience_s=1.5)
    await first.close()
    second = await connect(f"tcp://{process.address}", timing=QUICK)
    await second.close()


async def test_nobody_there_is_told_with_the_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(WearableLost, match=f"tcp://127.0.0.1:{port}"):
        await connect(f"tcp://127.0.0.1:{port}", timing=QUICK, patience_s=0.5)


def recording(windows: int, samples: int = SAMPLES) -> bytes:
    made = [make_window(id_) for id_ in range(windows)]
    counts = np.stack([window.counts[:, :samples] for window in made])
    labels = np.arange(windows) % CLASSES
    return pack_recording(counts, made[0].scale, labels, RATE_HZ)


async def test_it_records_by_itself_on_its_own_clock(tmp_path, model):
    (tmp_path / "own.btrc").write_bytes(recording(40))
    process = Process(tmp_path, ["--recording", str(tmp_path / "own.btrc"), "--speed", "100"])
    process.start()
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    with pytest.raises(WearableError) as refused:
        await wearable.start_recording()
    assert refused.value.code == "NO_PLAN"
    await provision(wearable, model.plan, model.weights)
    pushed = [await wearable.push(make_window(id_)) for id_ in range(40)]
    await wearable.start_recording()
    reports = []
    async with asyncio.timeout(10):
        async for report in wearable.reports():
            reports.append(report)
            if len(reports) == 40:
                break
    assert [report.window_id for report in reports] == list(range(40))
    assert [report.label for report in reports] == [id_ % CLASSES for id_ in range(40)]
    assert [report.probabilities for report in reports] == [report.probabilities for report in pushed]
    took_us = reports[-1].time_us - reports[0].time_us
    period_us = SAMPLES / RATE_HZ / 100 * 1e6
    assert 38 * period_us <= took_us <= 45 * period_us
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(40), epochs=1))  # they are in its ring
    await events_until(wearable, DeviceEventKind.FIT_DONE)
    await wearable.close()
    process.stop()


async def test_a_recording_of_another_shape_than_the_plans_is_refused(tmp_path, model):
    (tmp_path / "own.btrc").write_bytes(recording(4, samples=100))
    process = Process(tmp_path, ["--recording", str(tmp_path / "own.btrc")])
    process.start()
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    await provision(wearable, model.plan, model.weights)
    with pytest.raises(WearableError) as refused:
        await wearable.start_recording()
    assert refused.value.code == "BAD_ARGUMENT"
    await wearable.close()
    process.stop()


async def test_without_electrodes_it_cannot_record(process, model):
    wearable = await connect(f"tcp://{process.address}", timing=QUICK)
    await provision(wearable, model.plan, model.weights)
    with pytest.raises(WearableError) as refused:
        await wearable.start_recording()
    assert refused.value.code == "UNSUPPORTED"
    await wearable.close()


def test_the_command_becomes_the_wearable_and_passes_its_exit_code_on(tmp_path):
    words = [sys.executable, "-m", "biotrain", "wearable", "--storage", str(tmp_path / "flash"), "--json"]
    npz = tmp_path / "X_session1.npz"
    np.savez(
        npz,
        x=np.zeros((2, 1, 50), np.int16),
        y=np.array([0, 1], np.int8),
        fs=100.0,
        scale=np.ones(1, np.float32),
        classes=["a", "b"],
        ch_names=["E0"],
        subject="X",
        session=1,
        unit="uV",
    )
    running = subprocess.Popen([*words, "--record", str(npz)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    ready = json.loads(running.stdout.readline())
    assert ready == {"ready": True, "address": ready["address"], "pid": running.pid}
    assert (tmp_path / "flash.btrc").stat().st_size == 32 + 2 * (4 + 4 + 2 * 50)
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(timeout=5) == 0
    running.stdout.close()
    refused = subprocess.run([*words, "--listen", "nowhere"], capture_output=True, text=True, timeout=20, check=False)
    assert refused.returncode == 2
    assert "is not HOST:PORT" in refused.stderr
