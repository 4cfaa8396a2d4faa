"""The REST interface of a supervisor that has seen one device's whole story."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.command import Command, Reply, ReplyStatus, Verb
from schemas.topics import Kind
from tests.brokers import Mosquitto, running_mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import KIND_OF, Published, Story, publish_form
from tests.supervisors import SupervisorProcess

#: A supervisor of its own: not for every quick run.
pytestmark = pytest.mark.slow


@dataclass
class Served:
    supervisor: SupervisorProcess
    mosquitto: Mosquitto
    log: list[Published]

    def get(self, path: str, **parameters: Any) -> Any:
        return self.supervisor.get(path, **parameters)

    def status(self, path: str, **parameters: Any) -> int:
        return httpx.get(self.supervisor.url + path, params=parameters).status_code


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Read only: tests that write use a device of their own."""
    folder: Path = tmp_path_factory.mktemp("served")

    async def fill(port: int) -> list[Published]:
        async with SenderWithLog(port) as sender:
            await sender.broker.next_connection()
            await sender.send(Story().whole())
            await sender.drain()
            return sender.log

    with running_mosquitto(folder / "broker") as mosquitto:
        supervisor = SupervisorProcess(folder, mosquitto.address)
        supervisor.start()
        try:
            yield Served(supervisor, mosquitto, asyncio.run(fill(mosquitto.port)))
        finally:
            supervisor.stop()


BAND = "/api/devices/lab/band-1"


def of_kind(log: list[Published], kind: Kind) -> list[dict[str, Any]]:
    return [json.loads(one.payload) for one in log if KIND_OF[type(one.message)] is kind]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("telemetry", Kind.TELEMETRY),
        ("drift", Kind.DRIFT),
        ("adaptations", Kind.ADAPTATION),
        ("faults", Kind.FAULT),
        ("states", Kind.STATE),
        ("health", Kind.HEALTH),
    ],
)
def test_a_series_gives_back_what_was_published_in_order(served: Served, path: str, kind: Kind) -> None:
    items = served.get(f"{BAND}/{path}", limit=5000)["items"]
    assert [item["message"] for item in items] == of_kind(served.log, kind)
    assert {item["kind"] for item in items} == {kind.value}


def test_a_series_is_read_page_by_page(served: Served) -> None:
    whole = served.get(f"{BAND}/telemetry", limit=5000)["items"]
    read: list[dict[str, Any]] = []
    after = 0
    while page := served.get(f"{BAND}/telemetry", limit=40, after=after)["items"]:
        assert len(page) <= 40
        read += page
        after = page[-1]["id"]
    assert read == whole


def test_the_newest_rows_come_oldest_first(served: Served) -> None:
    whole = served.get(f"{BAND}/telemetry", limit=5000)["items"]
    assert served.get(f"{BAND}/telemetry", limit=3, newest=True)["items"] == whole[-3:]


def test_a_series_is_cut_by_windows_time_wearer_and_boot(served: Served) -> None:
    cut = served.get(f"{BAND}/telemetry", from_window=95, to_window=110)["items"]
    assert [item["message"]["first_window"] for item in cut] == [90, 100, 110]
    times = [one["time"] for one in of_kind(served.log, Kind.TELEMETRY)]
    some = served.get(f"{BAND}/telemetry", since=times[10], until=times[15])["items"]
    assert [item["message"]["time"] for item in some] == times[10:15]
    assert served.get(f"{BAND}/telemetry", wearer="U9")["items"] == []
    assert len(served.get(f"{BAND}/drift", wearer="U1", boot=1)["items"]) == 1
    assert served.get(f"{BAND}/drift", boot=2)["items"] == []


def test_events_are_everything_that_is_never_thinned(served: Served) -> None:
    kinds = {item["kind"] for item in served.get(f"{BAND}/events", limit=5000)["items"]}
    assert kinds == {"state", "drift", "adaptation", "fault"}


def test_a_device_is_known_with_its_state_and_health(served: Served) -> None:
    device = served.get(BAND)
    assert (device["online"], device["wearer"], device["boot"]) == (True, "U1", 1)
    assert device["state"]["state"] == "online"
    assert device["health"]["wearable"]["weights_version"] == 2
    assert device["stored"] == len(served.log)
    assert served.get("/api/devices", site="lab")["items"][0]["device"] == "band-1"
    assert served.get("/api/devices", site="elsewhere")["items"] == []
    assert served.get("/api/devices", after="lab/band-1")["items"] == []
    assert served.get("/api/devices", after="lab/band-0", wearer="U1", limit=1)["items"] == [device]
    assert served.get("/api/rollouts", state="done", site="lab")["items"] == served.get("/api/plans")["items"] == []


def test_alerts_are_newest_first_and_filtered(served: Served) -> None:
    rules = [item["alert"]["rule"] for item in served.get("/api/alerts", device="band-1")["items"]]
    assert rules == ["adaptation_rolled_back", "sensor_fault", "drift"]
    assert len(served.get("/api/alerts", device="band-1", rule="drift")["items"]) == 1
    assert served.get("/api/alerts", device="band-1", severity="critical")["items"] == []


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/api/devices/lab/nobody", {}, 404),
        ("/api/devices/lab/nobody/telemetry", {}, 404),
        ("/api/devices/lab/nobody/gaps", {}, 404),
        (f"{BAND}/commands/none", {}, 404),
        (f"{BAND}/nothing", {}, 404),
        ("/api/devices/l b/x", {}, 422),
        (f"{BAND}/telemetry", {"limit": 0}, 422),
        (f"{BAND}/telemetry", {"limit": 5001}, 422),
        (f"{BAND}/telemetry", {"after": -1}, 422),
        (f"{BAND}/telemetry", {"after": 10**30}, 422),
        (f"{BAND}/telemetry", {"since": "yesterday"}, 422),
        (f"{BAND}/telemetry", {"since": "2026-03-02T09:00:00"}, 422),
        ("/api/alerts", {"rule": "weather"}, 422),
        ("/api/devices", {"after": "lab"}, 422),
        ("/api/rollouts", {"state": "wet"}, 422),
        ("/../../pyproject.toml", {}, 404),
    ],
)
def test_what_is_wrong_in_a_request_is_said_by_status(
    served: Served, path: str, parameters: dict[str, Any], status: int
) -> None:
    assert served.status(path, **parameters) == status


def test_every_operation_and_parameter_is_described(served: Served) -> None:
    document = served.get("/api/openapi.json")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation.get("summary"), path
            for parameter in operation.get("parameters", []):
                assert parameter.get("description") or parameter["name"] == "command_id", (path, parameter["name"])
    assert "TrainingMemory" in document["components"]["schemas"]


def test_pages_of_another_origin_cannot_command(served: Served) -> None:
    url = f"{served.supervisor.url}{BAND}/commands"
    refused = httpx.post(url, json={"verb": "adapt"}, headers={"Origin": "http://evil.example"})
    assert refused.status_code == 403
    assert httpx.post(url, content=b'{"verb":"adapt"}', headers={"Content-Type": "text/plain"}).status_code == 422
    assert "default-src 'self'" in httpx.get(served.supervisor.url).headers["content-security-policy"]


def reply_to(command: Command, seq: int, status: ReplyStatus, detail: str = "") -> Published:
    reply = Reply(
        site="lab", device=command.device, boot=9, seq=seq, command_id=command.command_id, status=status, detail=detail
    )
    return publish_form(reply)


async def test_a_command_reaches_its_device_and_its_reply_is_kept(served: Served) -> None:
    async with SenderWithLog(served.mosquitto.port, device="band-7") as sender, asyncio.timeout(15):
        await sender.broker.next_connection()
        await sender.send([Story(device="band-7", boot=8).state_now()])
        await sender.drain()
        path = "/api/devices/lab/band-7/commands"
        async with httpx.AsyncClient(base_url=served.supervisor.url) as client:
            sent = await client.post(path, json={"verb": "roll_back", "issued_by": "test"})
            assert sent.status_code == 202
            name = sent.json()["command_id"]
            while not sender.commands:
                await asyncio.sleep(0.02)
            (command,) = sender.commands
            assert (command.command_id, command.verb, command.issued_by) == (name, Verb.ROLL_BACK, "test")
            assert command.expires is not None
            await sender.send([reply_to(command, 1, ReplyStatus.ACCEPTED)])
            await sender.send([reply_to(command, 2, ReplyStatus.DONE, "back to version 1")])
            await sender.send([reply_to(command, 3, ReplyStatus.ACCEPTED)])
            await sender.drain()
            view = (await client.get(f"{path}/{name}")).json()
            assert (view["status"], view["detail"]) == ("done", "back to version 1")
            refused = await client.post(path, json={"verb": "self_destruct"})
            assert refused.status_code == 422
            assert (await client.post("/api/devices/lab/none/commands", json={"verb": "ping"})).status_code == 404


async def live_events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_the_live_stream_begins_where_its_reader_was_and_goes_on(served: Served) -> None:
    items = served.get(f"{BAND}/telemetry", limit=5000)["items"]
    async with (
        httpx.AsyncClient(base_url=served.supervisor.url, timeout=10) as client,
        SenderWithLog(served.mosquitto.port, device="band-8") as sender,
        asyncio.timeout(15),
    ):
        await sender.broker.next_connection()
        headers = {"Last-Event-ID": str(items[-3]["id"])}
        async with client.stream("GET", "/api/live", headers=headers) as response:
            events = live_events(response)
            missed = [await anext(events) for _ in range(2)]
            assert [event["message"] for name, event in missed if name == "telemetry"] == [
                items[-2]["message"],
                items[-1]["message"],
            ]
            await sender.send([Story(device="band-8").drift()])
            seen: dict[str, Any] = {}
            while len(seen) < 2:
                name, event = await anext(events)
                if event["device"] == "band-8":
                    seen[name] = event["message"]
            assert set(seen) == {"drift", "alert"}


def test_readiness_is_said(served: Served) -> None:
    assert served.get("/readyz") == {"ready": True, "broker": "connected", "store": "ok"}


@pytest.mark.slow
def test_commands_say_that_the_broker_is_gone(tmp_path: Path, mosquitto: Mosquitto) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address)
    supervisor.start()

    async def announce() -> None:
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send([Story().state_now()])
            await sender.drain()

    try:
        asyncio.run(announce())
        mosquitto.kill()
        end = time.monotonic() + 10
        while httpx.get(f"{supervisor.url}/readyz").status_code != 503:
            assert time.monotonic() < end
        response = httpx.post(f"{supervisor.url}{BAND}/commands", json={"verb": "adapt"})
        assert response.status_code == 503
        assert "not connected" in response.json()["detail"]
        assert supervisor.get(f"{BAND}/commands")["items"][0]["status"] == "not_sent"
        assert httpx.get(f"{supervisor.url}/readyz").json()["broker"].startswith("not connected")
    finally:
        supervisor.kill()
