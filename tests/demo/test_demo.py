"""The demo as a whole. Its processes are real, and so is everything that happens to them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from pathlib import Path

import aiomqtt
import numpy as np
import psutil
import pytest

from device_agent.sources.simulator import SimulatedPerson
from tests.demo.running import PROCESSES, family, gone, running_demo
from tests.demo.samples import traces_of_samples

pytestmark = pytest.mark.slow

SHORT = ("--trials", "110", "--speed", "100")
STABLE_FIELDS = {
    "windows", "windows_dropped", "accuracy", "drift_alerts", "adaptations", "device", "published", "stored",
}  # fmt: skip


def address(demo_status: dict[str, dict[str, dict[str, str]]], name: str) -> tuple[str, int]:
    host, _, port = demo_status[name]["ready"]["address"].rpartition(":")
    return host, int(port)


@pytest.mark.timeout(240)
def test_the_demo_notices_drift_adapts_and_loses_nothing(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        demo.wait_for_all()
        processes = family(demo.process.pid)
        summary = demo.finish()
    assert summary.keys() >= STABLE_FIELDS
    assert summary["windows_dropped"] == 0
    assert summary["drift_alerts"] >= 1
    assert summary["adaptations"]["committed"] >= 1
    accuracy = summary["accuracy"]
    assert accuracy["after_adaptation"] > accuracy["after_drift"]
    assert summary["published"] == summary["stored"] > 0
    assert summary["check"]["problems"] == []
    assert summary["check"]["wearable_events"] > 0
    assert summary["check"]["agent_events"] > 0
    assert summary["restarts"] == dict.fromkeys(PROCESSES, 0)
    assert gone(processes)


@pytest.mark.timeout(300)
def test_every_event_is_stored_once_when_each_process_is_killed_once(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        demo.wait_for_all()
        for name in PROCESSES:
            seen = len(demo.events())
            demo.wait_for(lambda seen=seen: len(demo.events()) > seen)  # type: ignore[misc]
            demo.kill(name)
        summary = demo.finish()
    assert summary["restarts"] == dict.fromkeys(PROCESSES, 1)
    assert summary["check"]["problems"] == []
    assert summary["published"] == summary["stored"] > 0


@pytest.mark.timeout(240)
async def test_raw_samples_are_on_no_topic(tmp_path: Path) -> None:
    published: list[tuple[str, bytes]] = []

    async def listen(host: str, port: int) -> None:
        async with aiomqtt.Client(host, port) as client:
            await client.subscribe("#", qos=1)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                published.append((str(message.topic), message.payload))

    with running_demo(tmp_path, *SHORT) as demo:
        await asyncio.to_thread(demo.wait_for, lambda: "broker" in demo.status())
        listening = asyncio.create_task(listen(*address(demo.status(), "broker")))
        summary = await asyncio.to_thread(demo.finish)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert len(published) >= summary["published"] > 0
    person = SimulatedPerson(1)
    for session in (1, 2, 3):
        recording = person.session(session, 110)
        for topic, payload in published:
            assert traces_of_samples(payload, recording.counts, float(recording.scale[0])) == [], topic
    # What is published of a window is a small part of what was recorded of it.
    assert sum(len(payload) for _, payload in published) < 0.25 * summary["windows"] * recording.counts[0].nbytes


def test_samples_would_be_found_if_there_were_any() -> None:
    recording = SimulatedPerson(1).session(1, 11)
    scale, window = float(recording.scale[0]), recording.counts[3]
    values = window * scale
    smuggled = [
        json.dumps({"x": values[0].tolist()}).encode(),
        json.dumps({"x": base64.b64encode(window.tobytes()).decode()}).encode(),
        b"x" + window.astype(">i2").tobytes(),
        values.astype(np.float32).tobytes(),
    ]
    for payload in smuggled:
        assert traces_of_samples(payload, recording.counts, scale)
    assert traces_of_samples(b'{"schema": "biotrain.health/1", "seq": 4}', recording.counts, scale) == []


@pytest.mark.timeout(240)
def test_no_process_of_the_demo_loads_torch(tmp_path: Path) -> None:
    with running_demo(tmp_path, *SHORT) as demo:
        demo.wait_for_all()
        demo.wait_for(lambda: any("adaptation" in event["schema"] for event in demo.events()))
        for process in family(demo.process.pid):
            libraries = {Path(entry.path).name for entry in process.memory_maps()}
            assert not [name for name in libraries if "torch" in name], process.cmdline()
        demo.finish()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
@pytest.mark.timeout(120)
def test_however_the_demo_is_stopped_no_process_is_left(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with running_demo(tmp_path) as demo:
        demo.wait_for_all()
        processes = family(demo.process.pid)
        assert len(processes) > len(PROCESSES)
        os.kill(demo.process.pid, number)
        _, err = demo.process.communicate(timeout=30)
        assert demo.process.returncode == code
        assert "Traceback" not in err
        assert gone(processes), [process for process in processes if psutil.pid_exists(process.pid)]
