"""Broker and supervisor are killed while devices publish: every message is stored, once."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from schemas.base import Sequenced
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Published, Story
from tests.supervisors import SupervisorProcess

#: Processes: not for every quick run.
pytestmark = pytest.mark.slow


def stored_payloads(store: Path) -> dict[tuple[str, str, int, int], str]:
    with sqlite3.connect(store) as connection:
        rows = connection.execute("SELECT site, device, boot, seq, payload FROM messages").fetchall()
    connection.close()
    keys = [row[:4] for row in rows]
    assert len(keys) == len(set(keys)), "stored twice"
    return {row[:4]: row[4] for row in rows}


def key(message: Sequenced) -> tuple[str, str, int, int]:
    return message.site, message.device, message.boot, message.seq


def assert_all_stored_once(store: Path, log: list[Published]) -> None:
    assert stored_payloads(store) == {key(one.message): one.payload.decode() for one in log}


async def test_messages_are_stored_acknowledged_and_counted(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(Story().whole())
        await sender.drain()
    assert_all_stored_once(supervisor.store, sender.log)
    stats = supervisor.get("/api/stats")
    assert (stats["stored"], stats["quarantined"], stats["missing"]) == (len(sender.log), 0, 0)
    assert supervisor.get("/api/devices/lab/band-1")["stored"] == len(sender.log)


async def test_messages_sent_twice_are_stored_once_and_acknowledged_again(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    messages = list(Story().whole())
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(messages)
        await sender.drain()
        sender.log.clear()
        await sender.send(messages)
        await sender.drain()
    assert_all_stored_once(supervisor.store, messages)
    process = supervisor.get("/api/stats")["process"]
    assert process["duplicates"] == len(messages)
    assert supervisor.get("/api/stats")["alerts"] == 3, "a repeated message raises nothing new"


@pytest.mark.slow
async def test_nothing_is_lost_when_supervisor_and_broker_are_killed_again_and_again(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    async with SenderWithLog(mosquitto.port) as one, SenderWithLog(mosquitto.port, device="band-2") as two:
        await one.broker.next_connection()
        await two.broker.next_connection()
        sending = asyncio.gather(
            one.send(Story().whole(), pause_s=0.02), two.send(Story(device="band-2", seed=3).whole(), pause_s=0.02)
        )
        for round_number in range(3):
            await asyncio.sleep(0.4)
            supervisor.kill()
            await asyncio.sleep(0.3)
            if round_number % 2 == 0:
                mosquitto.kill()
                mosquitto.start()
            await asyncio.to_thread(supervisor.start)
            await asyncio.sleep(0.3)
            mosquitto.kill()
            await asyncio.sleep(0.2)
            mosquitto.start()
        await sending
        await one.drain()
        await two.drain()
    assert len(one.log) > 150
    assert_all_stored_once(supervisor.store, [*one.log, *two.log])
    assert supervisor.get("/api/stats")["missing"] == 0


@pytest.mark.slow
async def test_what_comes_while_the_supervisor_is_stopped_is_stored_when_it_is_back(
    mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    assert supervisor.stop() == 0
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(Story().whole())
        await asyncio.to_thread(supervisor.start)
        await sender.drain()
    assert_all_stored_once(supervisor.store, sender.log)


async def test_poison_is_quarantined_and_stalls_nothing(mosquitto: Mosquitto, supervisor: SupervisorProcess) -> None:
    story = Story()
    good = list(story.days(20, accuracy=0.9, frozen=0.9))
    topic = good[0].topic
    too_large_number = good[0].payload.replace(b'"seq":1,', b'"seq":99999999999999999999,')
    readable = good[0].payload.replace(b'"seq":1,', b'"seq":7777,').replace(b'"windows":10', b'"windows":-10')
    poison = [
        (topic, b"not json"),
        (topic, b""),
        (topic, b'{"schema":"biotrain.telemetry/1"}'),
        (topic, good[0].payload.replace(b'"band-1"', b'"band-9"')),
        (topic, good[0].payload.replace(b'"period_s":20.0', b'"period_s":NaN')),
        (topic, b"[" * 60_000),
        (topic, b"\xff\xfe"),
        (topic.replace("/lab/", "/l b/"), good[0].payload),
        (topic, too_large_number),
        (topic, readable),
    ]
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        for number, published in enumerate(good):
            if number < len(poison):
                await sender.broker.publish(*poison[number])
            await sender.send([published])
        await sender.drain()
    assert_all_stored_once(supervisor.store, good)
    items = supervisor.get("/api/quarantine")["items"]
    assert len(items) == len(poison)
    reasons = " | ".join(item["reason"] for item in items)
    for expected in (
        "Invalid JSON",
        "payload names lab/band-9",
        "l b",
        "too large",
        "windows: Input should be greater",
    ):
        assert expected in reasons
    assert supervisor.get("/api/stats")["quarantined"] == len(poison)


async def test_a_lost_tail_is_seen_from_the_heartbeat(mosquitto: Mosquitto, supervisor: SupervisorProcess) -> None:
    story = Story()
    messages = [*story.days(9, accuracy=0.9, frozen=0.9), story.state_now()]
    health = story.health()
    kept = [m for m in messages if m.message.seq not in (3, 4, 8)] + [health]
    async with SenderWithLog(mosquitto.port) as sender:
        await sender.broker.next_connection()
        await sender.send(kept)
        await sender.drain()
        gaps = supervisor.get("/api/devices/lab/band-1/gaps")["items"]
        assert gaps == [{"boot": 1, "first": 3, "last": 4}, {"boot": 1, "first": 8, "last": 8}]
        assert supervisor.get("/api/stats")["missing"] == 3
        # The next boot's heartbeat tells of numbers that never arrived.
        tail = Story(boot=2)
        tail.skip(5)
        await sender.send([tail.health(last_seq=9)])
        await sender.drain()
    assert supervisor.get("/api/devices/lab/band-1/gaps")["items"][2:] == [
        {"boot": 2, "first": 1, "last": 5},
        {"boot": 2, "first": 7, "last": 9},
    ]
    assert supervisor.get("/api/stats")["missing"] == 3 + 8
