"""Silence and gaps: what no message tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from messaging import Broker, BrokerSettings
from schemas.stored import SeqRange, Stored
from schemas.topics import DeviceTopic, Kind
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.service.test_hooks import until
from tests.supervisors import SupervisorProcess


@pytest.mark.slow
async def test_a_device_that_falls_silent_raises_an_alert_that_its_next_word_resolves(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--silent-after", "1")
    supervisor.start()

    def alerts() -> Any:
        return [(one["alert"]["rule"], one["state"]) for one in supervisor.get("/api/alerts")["items"]]

    try:
        story = Story()
        async with SenderWithLog(mosquitto.port) as sender:
            await sender.broker.next_connection()
            await sender.send([story.state_now()])
            await sender.drain()
            await asyncio.to_thread(until, lambda: alerts() == [("device_silent", "open")])

            async def talk() -> None:
                while True:
                    await sender.send([story.telemetry(0.9, 0.9)])
                    await asyncio.sleep(0.2)

            talking = asyncio.create_task(talk())
            await asyncio.to_thread(until, lambda: alerts() == [("device_silent", "resolved")])
            talking.cancel()
    finally:
        supervisor.kill()


@pytest.mark.slow
async def test_what_is_missing_is_asked_for_and_the_gap_is_closed(tmp_path: Path, mosquitto: Mosquitto) -> None:
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, "--gap-delay", "0.5")
    supervisor.start()
    topic = str(DeviceTopic("lab", "band-1", Kind.STORED))
    settings = BrokerSettings(port=mosquitto.port, client_id="ears")
    try:
        async with (
            Broker(settings, subscriptions=[topic]) as ears,
            SenderWithLog(mosquitto.port) as sender,
            asyncio.timeout(40),
        ):
            await ears.next_connection()
            await sender.broker.next_connection()
            story = Story()
            messages = [*story.days(8, accuracy=0.9, frozen=0.9), story.state_now()]
            tail = story.health(last_seq=12)
            withheld = [one for one in messages if one.message.seq in (3, 4)]
            await sender.send([one for one in messages if one not in withheld] + [tail])
            missing: list[SeqRange] = []
            while not missing:
                for delivery in await ears.receive(20):
                    delivery.acknowledge()
                    missing = Stored.model_validate_json(delivery.payload).missing or missing
            assert [(one.first, one.last) for one in missing] == [(3, 4), (11, 12)]
            assert supervisor.get("/api/stats")["missing"] == 4
            story.skip(0)
            await sender.send([*withheld, story.telemetry(0.9, 0.9), story.telemetry(0.9, 0.9)])
            await asyncio.to_thread(until, lambda: supervisor.get("/api/stats")["missing"] == 0)
            assert supervisor.get("/api/devices/lab/band-1/gaps")["items"] == []
    finally:
        supervisor.kill()
