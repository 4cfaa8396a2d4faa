"""Several supervisors on one broker and one PostgreSQL; whatever is killed, every message is stored once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.brokers import Mosquitto
from tests.postgres import Postgres
from tests.service.devices import SenderWithLog
from tests.service.fleet_of_senders import check
from tests.service.story import Story
from tests.supervisors import REPOSITORY, SupervisorProcess

#: The acceptance run by hand: BIOTRAIN_KILL_SECONDS=120 BIOTRAIN_KILL_DEVICES=2000 pytest tests/service/test_sharing.py
SECONDS = float(os.environ.get("BIOTRAIN_KILL_SECONDS", "8"))
DEVICES = int(os.environ.get("BIOTRAIN_KILL_DEVICES", "300"))
EVERY_S = float(os.environ.get("BIOTRAIN_KILL_EVERY", "3"))


def rows_of(url: str) -> Iterator[tuple[Any, ...]]:
    with psycopg.connect(url) as connection, connection.cursor("rows") as cursor:
        cursor.execute("SELECT site, device, boot, seq, payload FROM messages WHERE site = 'fleet'")
        yield from cursor


def make_supervisor(folder: Path, broker: str, url: str, name: str) -> SupervisorProcess:
    place = folder / name
    place.mkdir()
    return SupervisorProcess(place, broker, "--instance", name, "--gap-delay", "2", store_url=url)


async def wait_until(condition: Callable[[], Any], within_s: float = 15.0) -> Any:
    end = time.monotonic() + within_s
    while not (found := await asyncio.to_thread(condition)):
        assert time.monotonic() < end, "it did not come to that"
        await asyncio.sleep(0.1)
    return found


@pytest.mark.slow
async def test_two_share_the_load_and_each_shows_what_the_other_stored(
    tmp_path: Path, mosquitto: Mosquitto, postgres: Postgres
) -> None:
    url = postgres.create("two")
    one, two = (make_supervisor(tmp_path, mosquitto.address, url, name) for name in ("one", "two"))
    try:
        one.start()
        two.start()
        live: list[str] = []

        async def listen() -> None:
            async with httpx.AsyncClient(timeout=30) as client, client.stream("GET", f"{one.url}/api/live") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data: "):
                        live.append(json.dumps(json.loads(line[6:])["message"]))

        listening = asyncio.create_task(listen())
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send(Story().whole())
            await sender.drain()
        shares = [part.get("/api/stats")["process"]["stored"] for part in (one, two)]
        assert sum(shares) == len(sender.log)
        assert min(shares) > 0.2 * len(sender.log), "the broker deals messages out"
        stats = [part.get("/api/stats") for part in (one, two)]
        assert [(row["stored"], row["missing"]) for row in stats] == [(len(sender.log), 0)] * 2
        sent = {json.dumps(json.loads(published.payload)) for published in sender.log}
        await wait_until(lambda: sent <= set(live))
        listening.cancel()
    finally:
        one.kill()
        two.kill()


@pytest.mark.slow
@pytest.mark.timeout(int(SECONDS * 3 + 240))
@pytest.mark.parametrize("victim", ["supervisor", "broker", "database"])
async def test_whoever_is_killed_every_message_is_stored_exactly_once(
    victim: str, tmp_path: Path, mosquitto: Mosquitto, postgres: Postgres
) -> None:
    url = postgres.create(f"killed_{victim}_{uuid4().hex[:8]}")  # a second try begins anew
    supervisors = [make_supervisor(tmp_path, mosquitto.address, url, name) for name in ("a", "b", "c")]
    log = tmp_path / "sent.jsonl"
    chance = random.Random(3)
    try:
        for one in supervisors:
            one.start()
        senders = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.service.fleet_of_senders", "--port", str(mosquitto.port), "--log", str(log),
            "--devices", str(DEVICES), "--seconds", "3600", "--drain", str(120 + 2 * SECONDS),
            "--stop", str(tmp_path / "stop"),
            cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        kills = 0
        began = time.monotonic()
        while kills < 2 or time.monotonic() - began + EVERY_S / 2 < SECONDS:
            await asyncio.sleep(EVERY_S / 2)
            kills += 1
            if victim == "supervisor":
                one = chance.choice(supervisors)
                one.kill()
                await asyncio.to_thread(one.start)
            elif victim == "broker":
                mosquitto.kill()
                mosquitto.start()
            else:
                await asyncio.to_thread(postgres.stop, signal.SIGQUIT if kills % 2 else signal.SIGINT)
                await asyncio.sleep(0.5)
                await asyncio.to_thread(postgres.start)
            await asyncio.sleep(EVERY_S / 2)
        (tmp_path / "stop").touch()
        out, _ = await senders.communicate()
        assert senders.returncode == 0, "the senders were not told that everything is stored"
        told = json.loads(out.splitlines()[-1])
        assert told["sent"] > 0.3 * SECONDS * DEVICES * 2
        fault = await asyncio.to_thread(check, log, rows_of(url))
        assert fault == ""
        print(f"{victim}: {told['sent']} messages, {told['sent_again']} sent again, {kills} kills")
        stats = supervisors[0].get("/api/stats")
        assert (stats["stored"], stats["missing"], stats["quarantined"]) == (told["sent"], 0, 0)
    finally:
        for one in supervisors:
            one.kill()
