"""Everything stored of one device is erased on demand, and of no other."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from biotrain.cli import main
from messaging import Broker, BrokerSettings
from tests.brokers import Mosquitto
from tests.postgres import Postgres
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess

BAND = "/api/devices/lab/band-1"


async def _fill(port: int) -> None:
    async with SenderWithLog(port) as sender:
        await sender.broker.next_connection()
        await sender.send(Story().whole())
        await sender.drain()
    async with Broker(BrokerSettings(port=port, client_id="poisoner")) as broker:
        await broker.next_connection()
        for device in ("band-1", "band-11"):  # a name that begins alike
            await broker.publish(f"biotrain/v1/lab/{device}/telemetry", b"{no json}")


@pytest.mark.slow
def test_erased_is_gone_from_every_table_and_from_the_disk_and_the_audit_log_says_so(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    asyncio.run(_fill(mosquitto.port))
    end = time.monotonic() + 30
    while supervisor.get("/api/stats")["quarantined"] < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    command = httpx.post(f"{supervisor.url}{BAND}/commands", json={"verb": "ping"}, timeout=10).json()["command_id"]
    stored = supervisor.get(BAND)["stored"]
    assert stored > 100
    erased = httpx.delete(supervisor.url + BAND, timeout=30)
    assert (erased.status_code, erased.json()) == (200, {"messages": stored})
    assert httpx.get(supervisor.url + BAND, timeout=10).status_code == 404
    assert httpx.delete(supervisor.url + BAND, timeout=10).status_code == 404
    (noted, *_) = supervisor.get("/api/audit")["items"]
    assert (noted["action"], noted["site"], noted["device"]) == ("device_erased", "lab", "band-1")
    supervisor.stop()
    with closing(sqlite3.connect(supervisor.store)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left = {name: database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables}
        topics = database.execute("SELECT topic FROM quarantine").fetchall()
    kept = {name for name, rows in left.items() if rows} - {"audit", "alembic_version", "sqlite_sequence"}
    assert kept == {"quarantine"}
    assert topics == [("biotrain/v1/lab/band-11/telemetry",)]
    for file in supervisor.store.parent.glob(f"{supervisor.store.name}*"):
        assert command.encode() not in file.read_bytes(), file.name
        assert b'"device":"band-1"' not in file.read_bytes(), file.name


async def retained(port: int, topic: str) -> list[str]:
    """Topics of what a newcomer is shown; a marker of our own says that nothing more comes."""
    found: list[str] = []
    settings = BrokerSettings(port=port, client_id="newcomer", persistent_session=False)
    async with Broker(settings, subscriptions=[topic, "biotrain/end"]) as broker:
        await broker.next_connection()
        await broker.publish("biotrain/end", b"1")
        async with asyncio.timeout(10):
            async for delivery in broker:
                delivery.acknowledge()
                if delivery.topic == "biotrain/end":
                    return found
                found.append(delivery.topic)
    return found


@pytest.mark.slow
def test_erased_from_the_command_line_on_postgresql_and_the_broker_keeps_nothing(
    tmp_path: Path, mosquitto: Mosquitto, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.create(f"erase_{time.monotonic_ns()}")
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--instance", "one", store_url=url)
    supervisor.start()
    try:
        asyncio.run(_fill(mosquitto.port))
        wished = httpx.put(f"{supervisor.url}{BAND}/desired", json={"paused": True}, timeout=10)
        assert wished.is_success, wished.text
        kept = asyncio.run(retained(mosquitto.port, "biotrain/v1/lab/band-1/#"))
        assert {topic.rpartition("/")[2] for topic in kept} == {"state", "desired"}
        words = ["fleet", "erase", "--site", "lab", "--device", "band-1", "--url", supervisor.url]
        with pytest.raises(SystemExit) as end:
            main([*words, "--yes"])
        assert end.value.code == 0
        assert "are erased" in capsys.readouterr().out
        assert asyncio.run(retained(mosquitto.port, "biotrain/v1/lab/band-1/#")) == []
        with pytest.raises(SystemExit) as end:
            main([*words, "--yes"])
        assert end.value.code == 2
        assert "nothing has been heard" in capsys.readouterr().err
        topics = {one["topic"] for one in supervisor.get("/api/quarantine")["items"]}
        assert "biotrain/v1/lab/band-1/state" not in topics, "what takes away is no poison"
    finally:
        supervisor.stop()
    with psycopg.connect(url) as database:
        tables = [name for (name,) in database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        left = {name for name in tables if database.execute(f"SELECT EXISTS(SELECT FROM {name})").fetchone() == (True,)}
        assert {"audit", "alembic_version"} <= left <= {"audit", "alembic_version", "quarantine"}


@pytest.mark.slow
def test_while_the_broker_is_away_nothing_is_erased_and_the_command_says_so(
    mosquitto: Mosquitto, supervisor: SupervisorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_fill(mosquitto.port))
    before = supervisor.get(BAND)["stored"]
    mosquitto.kill()
    words = ["fleet", "erase", "--site", "lab", "--device", "band-1", "--url", supervisor.url, "--yes"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "what the broker keeps of it cannot be taken away" in capsys.readouterr().err
    assert supervisor.get(BAND)["stored"] == before > 100
    assert "device_erased" not in [one["action"] for one in supervisor.get("/api/audit")["items"]]
    mosquitto.start()
    deadline = time.monotonic() + 60
    while True:
        with pytest.raises(SystemExit) as end:
            main(words)
        if end.value.code == 0:
            break
        assert time.monotonic() < deadline, "the broker is back, and erasing goes on to fail"
        time.sleep(0.2)
    assert httpx.get(supervisor.url + BAND, timeout=10).status_code == 404
