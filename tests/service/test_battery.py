"""A low battery from the wearable's cell or a file to an alert of the supervisor, and its end on the charger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from device_agent.adaptation.occasion import Occasion
from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from tests.agent.real import model
from tests.brokers import Mosquitto, free_port
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


class Worn:
    """`biotrain wearable` as somebody starts it, with a cell; started again it is on the same address and storage."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.address = f"127.0.0.1:{free_port()}"
        self._words = [sys.executable, "-m", "biotrain", "wearable", "--storage", str(folder / "flash")]
        self._words += ["--listen", self.address, "--json", *files(folder)]
        self._process: subprocess.Popen[str] | None = None

    def start(self, *cell: str) -> None:
        self._process = subprocess.Popen([*self._words, *cell], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert json.loads(self._process.stdout.readline())["address"] == self.address

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate(timeout=20)


def files(folder: Path) -> list[str]:
    return [word for what, path in model(folder).items() for word in (f"--{what}", str(path))]


@pytest.mark.slow
async def test_what_the_cell_of_a_wearable_tells_is_an_alert_and_keeps_adaptations_for_the_charger(
    tmp_path: Path, mosquitto: Mosquitto, supervisor: SupervisorProcess
) -> None:
    """12% of 1 mAh, off the charger: an alert, and no adaptation although there is drift. On the charger: both end.

    Nothing here depends on when: each step waits for what the supervisor has stored.
    """
    worn = Worn(tmp_path / "device")
    worn.start("--battery", "12%", "--capacity", "1", "--power", "1")
    settings = AgentSettings(
        site="lab", device="band-1", broker=mosquitto.address, state_dir=tmp_path / "agent", trials=220,
        sessions=(1, *[2] * 30), calibrate_windows=132, wearable=f"tcp://{worn.address}", speed=300.0,
        health_period_s=0.3, telemetry_period_s=0.3,
        occasion=Occasion(only_charging=True),
    )  # fmt: skip
    agent = asyncio.create_task(run_agent(settings))

    def state(rule: str) -> list[str]:
        items = supervisor.get("/api/alerts", site="lab", device="band-1")["items"]
        return [item["state"] for item in items if item["alert"]["rule"] == rule]

    def stored(statement: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{supervisor.store}?mode=ro", uri=True)) as store:
            return int(store.execute(statement).fetchone()[0] or 0)

    by_drift = "SELECT count(*) FROM adaptations WHERE \"trigger\" = 'drift'"
    windows = "SELECT sum(windows) FROM telemetry"
    try:
        await until(lambda: state("low_battery") == ["open"])
        wearable = supervisor.get("/api/devices/lab/band-1")["health"]["wearable"]
        assert wearable["charging"] is False
        assert 0 <= wearable["battery"] <= 0.12
        await until(lambda: "open" in state("drift"))
        seen = stored(windows)
        await until(lambda: stored(windows) > seen + 150)
        assert stored(by_drift) == 0, "off the charger, whatever has drifted"
        worn.stop()
        worn.start("--battery", "30%", "--charging")
        await until(lambda: state("low_battery") == ["resolved"])
        await until(lambda: stored(by_drift) > 0)
    finally:
        agent.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await agent
        worn.stop()
