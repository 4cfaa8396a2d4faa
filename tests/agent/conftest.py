"""An agent with a fake wearable and a real broker, and somebody who stores what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from device_agent.settings import AgentSettings
from device_agent.sources.simulator import CHANNELS, CLASSES, SAMPLES, SAMPLING_RATE_HZ
from messaging import Broker, BrokerSettings
from schemas.base import Sequenced
from schemas.command import Command, GroupCommand, Verb
from schemas.desired import Desired, DeviceSettings, Reported
from schemas.messages import parse_message
from schemas.stored import SeqRange, Stored
from schemas.topics import FROM_DEVICE, DeviceTopic, GroupTopic, Kind
from tests.agent.fake_wearable import Device
from tests.brokers import Mosquitto, running_mosquitto


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def device() -> Device:
    return Device(classes=CLASSES, channels=CHANNELS, samples=SAMPLES, sampling_rate_hz=SAMPLING_RATE_HZ)


@dataclass
class Keeper:
    """A supervisor's memory: stores every message once and says so."""

    broker: Broker
    site: str
    device: str
    acknowledging: bool = True
    stored: dict[tuple[int, int], Sequenced] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)
    reported: list[Reported] = field(default_factory=list)

    async def run(self) -> None:
        async for delivery in self.broker:
            self.topics.add(delivery.topic)
            message = parse_message(DeviceTopic.parse(delivery.topic), delivery.payload)
            if isinstance(message, Reported):
                self.reported.append(message)
            if isinstance(message, Sequenced) and message.seq:
                self.stored[(message.boot, message.seq)] = message
                if self.acknowledging:
                    await self.acknowledge(message.boot, message.seq)
            delivery.acknowledge()

    async def acknowledge(self, boot: int, seq: int) -> None:
        stored = Stored(site=self.site, device=self.device, ranges=[SeqRange(boot=boot, first=seq, last=seq)])
        await self.broker.publish(str(DeviceTopic(self.site, self.device, Kind.STORED)), stored.to_json())

    async def command(self, identity: str, verb: Verb, **more: Any) -> None:
        command = Command(site=self.site, device=self.device, command_id=identity, verb=verb, **more)
        await self.broker.publish(str(DeviceTopic(self.site, self.device, Kind.COMMAND)), command.to_json())

    async def command_group(self, group: str, identity: str, verb: Verb, **more: Any) -> None:
        command = GroupCommand(site=self.site, group=group, command_id=identity, verb=verb, **more)
        await self.broker.publish(str(GroupTopic(self.site, group)), command.to_json())

    async def desire(self, version: int, **settings: Any) -> None:
        desired = Desired(site=self.site, device=self.device, version=version, settings=DeviceSettings(**settings))
        await self.broker.publish(
            str(DeviceTopic(self.site, self.device, Kind.DESIRED)), desired.to_json(), retain=True
        )

    def of(self, kind: type[Sequenced]) -> list[Any]:
        return [self.stored[key] for key in sorted(self.stored) if isinstance(self.stored[key], kind)]

    async def until(self, true: Any, timeout_s: float = 60.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not true():
                await asyncio.sleep(0.01)


@pytest.fixture
async def keeper(mosquitto: Mosquitto) -> AsyncIterator[Keeper]:
    # one of its own for every run, so that a test that runs again finds nothing that was retained or kept for it
    site = f"t{uuid4().hex[:18]}"
    settings = BrokerSettings(port=mosquitto.port, client_id=f"keeper-{site}")
    topics = [str(DeviceTopic(site, "dev", kind)) for kind in (*FROM_DEVICE, Kind.REPORTED)]
    async with Broker(settings, subscriptions=topics) as broker:
        keeper = Keeper(broker, site, "dev")
        task = asyncio.create_task(keeper.run())
        await broker.next_connection()
        yield keeper
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def settings(mosquitto: Mosquitto, keeper: Keeper, tmp_path: Path) -> AgentSettings:
    """Three simulated days at two hundred and fifty windows a second or so; day 1 in two halves."""
    return AgentSettings(
        site=keeper.site,
        device="dev",
        wearer="sim1",
        broker=mosquitto.address,
        state_dir=tmp_path / "agent",
        source="simulator",
        seed=1,
        sessions=(1, 2),
        trials=220,
        calibrate_windows=132,
        speed=450.0,
        telemetry_period_s=0.2,
        health_period_s=0.4,
        resend_after_s=1.0,
        finish_timeout_s=60.0,
        adapt="auto",
    )
