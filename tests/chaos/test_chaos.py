"""A small site under chaos for a minute, in every CI run; `python -m benchmarks.chaos` is the run of ten minutes.

How many windows are dropped, what is adapted and how long the end takes depends on the machine, and nothing here asks
for it. What must hold on any machine: the checker finds nothing. And the checker finds what is wrong, once it is.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.__main__ import run
from benchmarks.chaos.check import check
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.schedule import FaultKind, schedule

OPTIONS = argparse.Namespace(
    seconds=60.0,
    devices=3,
    devices_per_agent=2,
    speed=40.0,
    every=1.5,
    seed=4,
    postgres=False,
    namespace=False,
    calibration_epochs=1,
)


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What the parties left, and the report."""
    folder = tmp_path_factory.mktemp("chaos")
    return folder, asyncio.run(run(OPTIONS, folder))


@pytest.mark.slow
@pytest.mark.timeout(600)  # a minute of faults, and as long as a slow machine takes to come to rest
def test_nothing_is_lost_doubled_or_stuck_however_it_is_killed_and_cut(survived: tuple[Path, dict[str, Any]]) -> None:
    _, report = survived
    assert report["problems"] == []
    assert sum(report["faults"].values()) >= 30
    assert report["wearable_events"] >= 3
    assert report["adaptations"] >= 3
    assert report["windows"] > 0


TAMPERED = {
    "a message that is lost": "DELETE FROM messages WHERE id = (SELECT MAX(id) FROM messages WHERE kind = 'drift' "
    "OR kind = 'adaptation')",
    "a fit that never ends": 'UPDATE messages SET payload = REPLACE(payload, \'"phase":"rolled_back"\', '
    "'\"phase\":\"progress\"') WHERE kind = 'adaptation'",
    "another version": "UPDATE messages SET payload = REPLACE(payload, '\"weights_version\":', "
    "'\"weights_version\":7') WHERE kind = 'state'",
    "windows that are forgotten": "UPDATE messages SET payload = REPLACE(payload, '\"windows\":', "
    "'\"windows\":1') WHERE kind = 'telemetry'",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", TAMPERED)
def test_the_checker_finds_in_the_store(what: str, survived: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = _copy(survived[0], tmp_path)
    with sqlite3.connect(folder / "biotrain.db") as database:
        assert database.execute(TAMPERED[what]).rowcount > 0
    database.close()
    assert check(folder).problems


@pytest.mark.slow
def test_the_checker_finds_a_flipped_bit_in_the_serving_weights_and_a_message_that_was_never_sent(
    survived: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = _copy(survived[0], tmp_path)
    flash = folder / "wearables" / "device-00.flash"
    content = bytearray(flash.read_bytes())
    for bank in range(3):
        content[29 * 4096 + 2 * 64 * 4096 + bank * 128 * 4096 + 500] ^= 1
    flash.write_bytes(content)
    outbox = sqlite3.connect(folder / "agents" / "device-01" / "outbox.db")
    with outbox:
        outbox.execute("INSERT INTO message VALUES (99, 1, 'fault', '{}')")
    outbox.close()
    problems = check(folder).problems
    assert any(problem.startswith("device-00: the serving weights in flash") for problem in problems)
    assert "device-01: 1 messages still wait in the outbox" in problems
    assert not [problem for problem in problems if problem.startswith("device-02")]


def _copy(folder: Path, to: Path) -> Path:
    """The store's path stands in `site.json`."""
    copy = shutil.copytree(folder, to / "site", ignore=shutil.ignore_patterns("logs", "broker"))
    told = copy / "site.json"
    told.write_text(told.read_text().replace(str(folder), str(copy)))
    return copy


def test_the_same_seed_gives_the_same_faults_and_each_kind_before_any_comes_again() -> None:
    first, again, other = (schedule(seed, 60, devices=3, agents=2, every_s=1.0) for seed in (1, 1, 2))
    assert first == again != other
    kinds = [fault.kind for fault in first[: len(FaultKind)]]
    assert set(kinds) == set(FaultKind)
    assert all(0 <= fault.at_s < 60 and fault.at_s + fault.lasts_s <= 60.01 for fault in first)


async def test_the_proxy_holds_loses_and_cuts() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy("echo", server.sockets[0].getsockname()[1], seed=1)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with asyncio.timeout(20):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.hold()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(3), 0.05)
        proxy.let_go()
        assert await reader.readexactly(3) == b"two"
        proxy.loss = 1.0
        writer.write(b"gone")
        while not proxy.counts["lost"]:
            await asyncio.sleep(0.01)
        proxy.loss = 0.0
        writer.write(b"three")
        assert await reader.readexactly(5) == b"three"
        proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    await proxy.stop()
    server.close()
