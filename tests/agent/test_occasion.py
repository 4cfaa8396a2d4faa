"""An agent keeps adaptations for when the wearable is on its charger."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from device_agent.adaptation.occasion import Occasion
from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Trigger
from schemas.drift import DriftAlert
from schemas.health import Health
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device


@pytest.mark.slow
async def test_no_fit_begins_before_the_wearable_is_on_its_charger_and_one_does_then(
    settings: AgentSettings, keeper: Keeper, device: Device, tmp_path: Path
) -> None:
    file = tmp_path / "conditions.json"
    file.write_text(json.dumps({"battery": 0.8, "charging": False}))
    waits = settings.model_copy(update={"occasion": Occasion(only_charging=True), "conditions": file})
    agent = asyncio.create_task(run_agent(waits, connect=device.connect, connect_frozen=device.connect))

    def by_drift() -> list[Adaptation]:
        return [told for told in keeper.of(Adaptation) if told.trigger is Trigger.DRIFT]

    await keeper.until(lambda: keeper.of(DriftAlert))
    alerted = device.windows
    await keeper.until(lambda: device.windows > alerted + 40)
    assert by_drift() == [], "off the charger, whatever has drifted"
    assert keeper.of(Health)[-1].wearable.battery == 0.8
    file.write_text(json.dumps({"battery": 0.8, "charging": True}))
    await keeper.until(by_drift)
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent
