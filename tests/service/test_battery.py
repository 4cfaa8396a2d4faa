"""A low battery from the agent's heartbeat to an alert of the supervisor, and its end on the charger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from tests.agent.real import model
from tests.brokers import Mosquitto
from tests.supervisors import SupervisorProcess


async def until(true: Any) -> None:
    """Within a time that only a test that has gone wrong takes."""
    end = time.monotonic() + 60
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_low_battery_is_an_alert_until_the_wearable_has_been_charged(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    said = tmp_path / "conditions.json"
    said.write_text(json.dumps({"battery": 0.11, "charging": False, "temperature_c": 31.5}))
    settings = AgentSettings(
        site="lab", device="band-1", broker=mosquitto.address, state_dir=tmp_path / "agent", conditions=said,
        adapt="never", trials=2000, speed=30.0, health_period_s=0.3, telemetry_period_s=0.3, **model(tmp_path),
    )  # fmt: skip
    agent = asyncio.create_task(run_agent(settings))

    def states() -> list[tuple[str, str]]:
        items = supervisor.get("/api/alerts", site="lab", device="band-1")["items"]
        return [(item["alert"]["rule"], item["state"]) for item in items]

    try:
        await until(lambda: states() == [("low_battery", "open")])
        wearable = supervisor.get("/api/devices/lab/band-1")["health"]["wearable"]
        assert (wearable["battery"], wearable["charging"], wearable["temperature_c"]) == (0.11, False, 31.5)
        assert supervisor.get("/api/overview")["items"][0]["battery"] == 0.11
        said.write_text(json.dumps({"battery": 0.26, "charging": True}))
        await until(lambda: states() == [("low_battery", "resolved")])
    finally:
        agent.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await agent
