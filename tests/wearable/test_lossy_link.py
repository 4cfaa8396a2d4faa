"""A fifth of all frames lost, others altered, repeated, overtaken, late, in single bytes: each command at most once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.wearable.api import Bank, DeviceEvent, DeviceEventKind, FitRequest, WearableError, WearableLost
from device_agent.wearable.client import LinkWearable
from device_agent.wearable.connect import provision
from device_agent.wearable.tcp import TcpTransport
from tests.wearable.conftest import CLASSES, QUICK, make_window
from tests.wearable.lossy import LossyTransport
from tests.wearable.test_wearable import events_until

#: A link that loses a fifth: not for every quick run.
pytestmark = pytest.mark.slow

TIMING = replace(QUICK, retry_s=0.08, patience_s=60.0, push_patience_s=60.0, silence_s=20.0)
COUNT = 6


@pytest.fixture(params=["host", pytest.param("riscv", marks=pytest.mark.slow)])
async def lossy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[LinkWearable, LossyTransport]]:
    if request.param == "riscv":
        from biotrain.riscv.image import COMPILER, EMULATOR, _find

        if not all(_find(tool) for tool in (COMPILER, EMULATOR)):
            pytest.skip("needs the cross compiler and the emulator (docs/riscv.md)")
    words = ["--port", request.param, "--storage", str(tmp_path / "flash"), "--log", str(tmp_path / "log"), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "biotrain", "wearable", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    host, _, port = json.loads(process.stdout.readline())["address"].rpartition(":")
    transport = LossyTransport(TcpTransport(host, int(port)), seed=5)
    timing = TIMING if request.param == "host" else replace(TIMING, retry_s=0.25)
    wearable = LinkWearable(transport, timing)
    try:
        await wearable.start(60.0)
        yield wearable, transport
    finally:
        await wearable.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        process.stdout.close()


async def outcome(asking) -> bool | None:
    """True: done; False: not done; None: unknown."""
    try:
        await asking
    except WearableLost as error:
        return error.executed
    except WearableError:
        return False
    return True


async def test_every_command_is_executed_at_most_once_and_its_sender_learns_what_became_of_it(lossy, model, tmp_path):
    wearable, transport = lossy
    assert await provision(wearable, model.plan, model.weights)
    for id_ in range(COUNT):
        report = await wearable.push(make_window(id_))
        assert report.window_id == id_
    said = {"fit": 0, "commit": 0, "roll back": 0}
    for fit_id in (1, 2):
        fit = FitRequest(fit_id=fit_id, window_ids=range(COUNT), epochs=2)
        said["fit"] += await outcome(wearable.start_fit(fit)) is not False
        events = await events_until(wearable, DeviceEventKind.FIT_DONE)
        epochs = {(e.boot, e.seq): e.epoch for e in events if e.kind is DeviceEventKind.FIT_PROGRESS}
        assert [*epochs.values()] == [1, 2]
        assert all(0 <= guess < CLASSES for guess in await wearable.evaluate(range(COUNT), Bank.CANDIDATE))
        said["commit"] += await outcome(wearable.commit()) is not False
    said["roll back"] += await outcome(wearable.roll_back()) is not False
    assert said == {"fit": 2, "commit": 2, "roll back": 1}
    assert wearable.info.weights_version == 2
    statistics = await wearable.statistics()
    assert statistics.windows == COUNT
    logged = [json.loads(line)["kind"] for line in (tmp_path / "log").read_text().splitlines()]
    done = {kind: logged.count(kind) for kind in set(logged)}
    assert done == {
        "BOOTED": 1, "PLAN_ACCEPTED": 1, "WEIGHTS_WRITTEN": 1, "FIT_STARTED": 2, "FIT_PROGRESS": 4, "FIT_DONE": 2,
        "COMMITTED": 2, "ROLLED_BACK": 1,
    }  # fmt: skip
    assert all(count > 1 for count in transport.counts.values()), transport.counts
    assert statistics.frames_corrupt > 0


@pytest.mark.slow
@pytest.mark.parametrize("lossy", ["host"], indirect=True)
async def test_events_arrive_without_a_hole_and_in_order(lossy, model):
    wearable, _ = lossy
    await provision(wearable, model.plan, model.weights)
    for id_ in range(6):
        await wearable.push(make_window(id_))
    await wearable.start_fit(FitRequest(fit_id=1, window_ids=range(6), epochs=60))
    events: list[DeviceEvent] = await events_until(wearable, DeviceEventKind.FIT_DONE)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [e.epoch for e in events if e.kind is DeviceEventKind.FIT_PROGRESS] == list(range(1, 61))
