"""Everything stored of one device is erased on demand, and of no other."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing

import httpx
import pytest

from messaging import Broker, BrokerSettings
from tests.brokers import Mosquitto
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
