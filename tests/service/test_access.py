"""Tokens and roles, alerts taken up by hand, desired state, lineage, the audit log, metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from messaging import Broker, BrokerSettings
from schemas.desired import Desired, DeviceSettings, Reported
from schemas.topics import DeviceTopic, Kind
from tests.brokers import Mosquitto, running_mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess

ADMIN = "a-token-for-tests"
BAND = "/api/devices/lab/band-1"


@dataclass
class Guarded:
    supervisor: SupervisorProcess
    mosquitto: Mosquitto

    def ask(self, method: str, path: str, token: str | None = ADMIN, **more: Any) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.request(method, self.supervisor.url + path, headers={**headers, **more.pop("headers", {})}, **more)

    def token(self, role: str) -> str:
        name = f"{role}-{len(self.ask('GET', '/api/tokens').json()['items'])}"
        made = self.ask("POST", "/api/tokens", json={"name": name, "role": role})
        assert made.status_code == 201
        return str(made.json()["token"])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder: Path = tmp_path_factory.mktemp("guarded")

    async def fill(port: int) -> None:
        async with SenderWithLog(port) as sender:
            await sender.broker.next_connection()
            await sender.send(Story().whole())
            await sender.send([Story(boot=2).drift()])
            await sender.drain()

    with running_mosquitto(folder / "broker") as mosquitto:
        supervisor = SupervisorProcess(folder, mosquitto.address, "--admin-token", ADMIN)
        supervisor.start()
        try:
            asyncio.run(fill(mosquitto.port))
            yield Guarded(supervisor, mosquitto)
        finally:
            supervisor.stop()


def test_without_a_token_only_the_health_checks_and_the_page_answer(guarded: Guarded) -> None:
    for path in ("/healthz", "/readyz", "/", "/api/openapi.json"):
        assert guarded.ask("GET", path, None).status_code == 200, path
    for path in ("/api/devices", "/metrics", "/api/live", "/api/alerts", "/api/stats"):
        refused = guarded.ask("GET", path, None)
        assert refused.status_code == 401, path
        assert "a token is needed" in refused.json()["detail"]
        assert guarded.ask("GET", path, "bt_wrong").status_code == 401, path


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/api/devices", "read"),
        ("GET", "/metrics", "read"),
        ("GET", "/api/audit", "read"),
        ("POST", "/api/alerts/999/acknowledge", "operate"),
        ("POST", f"{BAND}/commands", "operate"),
        ("PUT", f"{BAND}/desired", "operate"),
        ("GET", "/api/tokens", "admin"),
        ("POST", "/api/tokens", "admin"),
        ("POST", "/api/deliveries/999/retry", "admin"),
        ("DELETE", "/api/devices/lab/nobody", "admin"),
    ],
)
def test_a_role_may_do_what_is_its_own_and_nothing_above(guarded: Guarded, method: str, path: str, least: str) -> None:
    ranks = ("read", "operate", "admin")
    for role in ranks:
        status = guarded.ask(method, path, guarded.token(role)).status_code
        assert (status == 403) == (ranks.index(role) < ranks.index(least)), role


def test_a_revoked_token_does_nothing_and_a_name_is_given_once(guarded: Guarded) -> None:
    made = guarded.ask("POST", "/api/tokens", json={"name": "short-lived", "role": "read"}).json()["token"]
    assert guarded.ask("POST", "/api/tokens", json={"name": "short-lived", "role": "read"}).status_code == 409
    assert guarded.ask("GET", "/api/me", made).json() == {
        "name": "short-lived", "role": "read", "tokens_required": True,
    }  # fmt: skip
    assert guarded.ask("DELETE", "/api/tokens/short-lived").status_code == 204
    assert guarded.ask("DELETE", "/api/tokens/short-lived").status_code == 404
    assert guarded.ask("GET", "/api/me", made).status_code == 401
    listed = json.dumps(guarded.ask("GET", "/api/tokens").json())
    assert made not in listed
    assert made.encode() not in guarded.supervisor.store.read_bytes()


def test_the_page_hands_its_token_in_for_a_cookie(guarded: Guarded) -> None:
    with httpx.Client(base_url=guarded.supervisor.url) as page:
        assert page.post("/api/session", json={"token": "bt_wrong"}).status_code == 401
        begun = page.post("/api/session", json={"token": ADMIN})
        assert begun.status_code == 204
        assert "httponly" in begun.headers["set-cookie"].lower()
        assert "samesite=strict" in begun.headers["set-cookie"].lower()
        assert page.get("/api/me").json()["role"] == "admin"
        page.delete("/api/session")
        assert page.get("/api/me").status_code == 401


def test_an_alert_is_taken_up_once_and_the_audit_log_knows_by_whom(guarded: Guarded) -> None:
    operator = guarded.token("operate")
    me = guarded.ask("GET", "/api/me", operator).json()["name"]
    (alert,) = guarded.ask("GET", "/api/alerts", params={"state": "open", "rule": "drift"}).json()["items"]
    path = f"/api/alerts/{alert['id']}"
    assert guarded.ask("POST", f"{path}/acknowledge", operator).status_code == 204
    again = guarded.ask("POST", f"{path}/acknowledge", operator)
    assert (again.status_code, again.json()["detail"]) == (
        409,
        f"alert {alert['id']}: it was acknowledged already, by {me}",
    )
    assert guarded.ask("POST", f"{path}/resolve", operator).status_code == 204
    assert guarded.ask("POST", "/api/alerts/99999/resolve", operator).status_code == 404
    items = guarded.ask("GET", "/api/alerts", params={"rule": "drift"}).json()["items"]
    assert [(one["state"], one["resolved_by"]) for one in items if one["id"] == alert["id"]] == [("resolved", me)]
    log = guarded.ask("GET", "/api/audit", params={"who": me}).json()["items"]
    assert [one["action"] for one in log] == ["alert_resolved", "alert_acknowledged"]
    assert {(one["site"], one["device"], one["role"]) for one in log} == {("lab", "band-1", "operate")}


def test_alerts_are_read_page_by_page(guarded: Guarded) -> None:
    whole = [one["id"] for one in guarded.ask("GET", "/api/alerts").json()["items"]]
    read: list[int] = []
    before: dict[str, int] = {}
    while page := guarded.ask("GET", "/api/alerts", params={"limit": 1, **before}).json()["items"]:
        read += [one["id"] for one in page]
        before = {"before": read[-1]}
    assert read == whole
    assert len(read) >= 3


async def test_a_device_that_was_away_finds_what_it_should_be_and_reports_it(guarded: Guarded) -> None:
    operator = guarded.token("operate")
    first = guarded.ask("PUT", f"{BAND}/desired", operator, json={"paused": True})
    assert (first.status_code, first.json()["version"], first.json()["in_step"]) == (200, 1, False)
    second = guarded.ask("PUT", f"{BAND}/desired", operator, json={"paused": True, "risk": 0.01})
    assert second.json()["version"] == 2
    stale = guarded.ask("PUT", f"{BAND}/desired", operator, json={}, headers={"If-Match": '"1"'})
    assert stale.status_code == 409
    topic = str(DeviceTopic("lab", "band-1", Kind.DESIRED))
    settings = BrokerSettings(port=guarded.mosquitto.port, client_id="late-device")
    async with Broker(settings, subscriptions=[topic]) as device, asyncio.timeout(10):
        await device.next_connection()
        (delivery,) = await device.receive()
        delivery.acknowledge()
        wanted = Desired.model_validate_json(delivery.payload)
        assert delivery.retained
        assert (wanted.version, wanted.settings) == (2, DeviceSettings(paused=True, risk=0.01))
        told = Reported(site="lab", device="band-1", version=2, settings=wanted.settings, refused={"risk": "too small"})
        await device.publish(str(DeviceTopic("lab", "band-1", Kind.REPORTED)), told.to_json(), retain=True)
        while not (view := guarded.ask("GET", f"{BAND}/desired").json())["in_step"]:
            await asyncio.sleep(0.05)
    assert view["reported"]["refused"] == {"risk": "too small"}
    assert guarded.ask("GET", "/api/stats").json()["quarantined"] == 0


def test_a_model_is_followed_back_to_its_pre_training(guarded: Guarded) -> None:
    items = guarded.ask("GET", f"{BAND}/lineage").json()["items"]
    assert [(one["version"], one["parent"], one["origin"]) for one in items] == [
        (2, 1, "adapted"),
        (1, None, "pre-trained"),
    ]
    assert items[0]["guard"]["after_correct"] == 36


def test_a_group_command_is_one_row_until_its_devices_answer(guarded: Guarded) -> None:
    sent = guarded.ask("POST", "/api/groups/lab/ward-2/commands", json={"verb": "ping"})
    assert (sent.status_code, sent.json()["group"], sent.json()["device"]) == (202, "ward-2", None)
    listed = guarded.ask("GET", "/api/groups/lab/ward-2/commands").json()["items"]
    assert [one["command_id"] for one in listed] == [sent.json()["command_id"]]
    assert sent.json()["issued_by"] == "admin"


def test_metrics_are_in_the_form_that_prometheus_reads(guarded: Guarded) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = guarded.ask("GET", "/metrics").text
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    stats = guarded.ask("GET", "/api/stats").json()
    assert values["biotrain_messages_stored_total"] == stats["process"]["stored"] > 100
    assert values["biotrain_broker_connected"] == 1
    assert values["biotrain_store_ok"] == 1
    assert values["process_resident_memory_bytes"] > 1e6


def test_the_overview_has_one_row_for_each_device(guarded: Guarded) -> None:
    (row,) = guarded.ask("GET", "/api/overview").json()["items"]
    assert (row["site"], row["device"], row["online"], row["state"]) == ("lab", "band-1", True, "online")
    assert len(row["trend"]) == 24
    assert 0.7 < row["accuracy"] < 1


def test_other_machines_are_not_served_without_a_token(tmp_path: Path, mosquitto: Mosquitto) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address)
    supervisor._command[supervisor._command.index("--listen") + 1] = "0.0.0.0:0"
    with pytest.raises(RuntimeError, match=r"(?s)code 2: .*set BIOTRAIN_ADMIN_TOKEN"):
        supervisor.start()
