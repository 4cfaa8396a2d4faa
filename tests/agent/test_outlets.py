"""Predictions reach the application beside the agent at once, and what it knows afterwards comes back as labels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from device_agent.outlets.outlet import Told
from device_agent.outlets.registry import OUTLETS, open_outlet
from device_agent.outlets.websocket import WebsocketOutlet
from device_agent.settings import AgentSettings
from device_agent.sources.simulator import CLASSES, SimulatedPerson
from device_agent.sources.source import LateLabel
from device_agent.start import run_agent
from schemas.errors import UserError
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device
from tests.brokers import free_port

TOLD = Told(7, 1000.5, 1, (0.2, 0.7, 0.1), 3, False, ("rest", "left", "right"))


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[WebsocketOutlet, list[LateLabel]]]:
    labels: list[LateLabel] = []

    async def take(late: LateLabel) -> None:
        labels.append(late)

    outlet = WebsocketOutlet("127.0.0.1", 0)
    await outlet.open(TOLD.classes, take)
    yield outlet, labels
    await outlet.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_every_listener_is_told_of_every_prediction() -> None:
    async with served() as (outlet, _), connect(outlet.address) as first, connect(outlet.address) as second:
        for client in (first, second):
            assert json.loads(await client.recv()) == {"classes": ["rest", "left", "right"]}
        await until(lambda: len(outlet._readers) == 2)
        outlet.tell(TOLD)
        for client in (first, second):
            assert json.loads(await client.recv()) == {
                "window": 7, "time": 1000.5, "class": "left", "confidence": 0.7, "probabilities": [0.2, 0.7, 0.1],
                "weights_version": 3, "faulty": False,
            }  # fmt: skip


async def test_labels_come_back_and_what_is_wrong_with_one_is_said() -> None:
    async with served() as (outlet, labels), connect(outlet.address) as client:
        await client.recv()
        await client.send('{"window": 7, "label": "right"}')
        await until(lambda: labels == [LateLabel(7, 2)])
        for wrong, said in (
            ('{"window": 7, "label": "up"}', "label 'up' is no class: rest, left, right"),
            ('{"window": -1, "label": "left"}', "greater than or equal to 0"),
            ("left", "expected"),
        ):
            await client.send(wrong)
            assert said in json.loads(await client.recv())["error"]
        assert len(labels) == 1


async def test_a_page_from_elsewhere_may_neither_listen_nor_send() -> None:
    async with served() as (outlet, _):
        with pytest.raises(InvalidStatus):
            async with connect(outlet.address, origin="https://example.org"):  # type: ignore[arg-type]
                pass
        async with connect(outlet.address, origin="http://localhost:8000") as client:  # type: ignore[arg-type]
            assert "classes" in await client.recv()


async def test_a_listener_that_does_not_read_holds_nobody_up() -> None:
    async with served() as (outlet, _), connect(outlet.address, close_timeout=0.2) as lazy:
        await until(lambda: len(outlet._readers) == 1)
        began = time.monotonic()
        for _ in range(20_000):
            outlet.tell(TOLD)
        assert time.monotonic() - began < 5
        assert outlet.missed > 0
        await lazy.recv()


@pytest.mark.slow
async def test_an_application_is_told_by_the_agent_and_teaches_it(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    port = free_port()
    changes = {
        "label_share": 0.0, "sessions": (1,), "trials": 44, "calibrate_windows": None, "adapt": "never", "speed": 60.0,
        "predictions": (f"ws://127.0.0.1:{port}",),
    }  # fmt: skip
    truth = [CLASSES[label] for label in SimulatedPerson(1).session(1, 44).labels]
    task = asyncio.create_task(
        run_agent(settings.model_copy(update=changes), connect=device.connect, connect_frozen=device.connect)
    )
    told: list[dict[str, Any]] = []
    late_s: list[float] = []
    client = await reachable(f"ws://127.0.0.1:{port}")
    assert json.loads(await client.recv()) == {"classes": list(CLASSES)}
    async for message in client:
        prediction = json.loads(message)
        told.append(prediction)
        late_s.append(time.time() - prediction["time"])
        await client.send(json.dumps({"window": prediction["window"], "label": truth[prediction["window"]]}))
        if prediction["window"] == 43:
            break
    totals = await task
    await client.close()
    assert [p["window"] for p in told] == list(range(told[0]["window"], 44))
    assert min(late_s) < 0.02
    assert totals["windows"] == 44
    assert sum(t.labelled for t in keeper.of(Telemetry)) >= len(told) - 1, "the last label may come after the end"
    known = {window: CLASSES[label] for window, (_, label) in device.ring.items() if label is not None}
    assert len(known) >= len(told) - 1
    assert known.items() <= dict(enumerate(truth)).items()


async def reachable(address: str) -> Any:
    async with asyncio.timeout(10):
        while True:
            try:
                return await connect(address)
            except OSError:
                await asyncio.sleep(0.01)


async def test_an_lsl_outlet_is_found_with_its_classes_and_stamped_with_the_windows_end() -> None:
    pylsl = pytest.importorskip("pylsl")
    name = f"predictions-{secrets.token_hex(4)}"
    outlet = open_outlet(f"lsl:{name}")

    async def nobody(late: LateLabel) -> None:
        raise AssertionError("LSL takes no labels")

    await outlet.open(TOLD.classes, nobody)

    def receive() -> tuple[Any, Any, float]:
        (found,) = pylsl.resolve_byprop("name", name, timeout=10)
        inlet = pylsl.StreamInlet(found)
        inlet.open_stream(timeout=10)
        ended_s = time.time() - 0.25
        outlet.tell(Told(7, ended_s, 1, (0.2, 0.7, 0.1), 3, True, TOLD.classes))
        sample, stamp_s = inlet.pull_sample(timeout=10)
        clock = pylsl.local_clock() - (time.time() - ended_s)
        xml = inlet.info().as_xml()
        inlet.close_stream()
        return sample, xml, stamp_s - clock

    sample, xml, off_s = await asyncio.get_running_loop().run_in_executor(None, receive)
    await outlet.close()
    assert sample == [1.0, 0.7, 3.0, 7.0, 1.0]
    assert all(f"<class>{label}</class>" in xml for label in TOLD.classes)
    assert abs(off_s) < 0.02


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "ws://8765", "ws:127.0.0.1:1", "ws://127.0.0.1:x", "lsl:"])
async def test_an_address_that_cannot_be_is_refused(address: str, settings: AgentSettings) -> None:
    with pytest.raises(UserError, match=r"write (ws|lsl)"):
        await run_agent(settings.model_copy(update={"predictions": (address,)}))


async def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outlet = WebsocketOutlet("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(UserError, match=r"cannot listen there .*choose another port"):
            await outlet.open(("a",), lambda late: asyncio.sleep(0))


def test_every_outlet_has_its_line_in_the_documentation(repository: Path) -> None:
    text = (repository / "docs" / "sources.md").read_text(encoding="utf-8").split("## Predictions to applications")[1]
    assert set(re.findall(r"^\| `(\w+):", text, re.MULTILINE)) == set(OUTLETS)


async def test_the_example_steers_its_cursor(repository: Path) -> None:
    async with served() as (outlet, _):
        words = [sys.executable, str(repository / "examples" / "steer_cursor.py"), outlet.address]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        await until(lambda: len(outlet._readers) == 1)
        outlet.tell(TOLD)
        await asyncio.sleep(0.2)
        await outlet.close()
        out, _ = await process.communicate()
    last = out.decode().split("classes: rest, left, right")[1]
    rows = [line for line in last.splitlines() if "@" in line]
    assert rows[-1].index("@") == 28, "one step to the left of the middle"
    assert "window 7: left 70%, v3" in last
