"""The whole loop with a fake wearable and a real broker."""

from __future__ import annotations

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Phase
from schemas.drift import DriftAlert
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device

#: A whole stream: not for every quick run.
pytestmark = pytest.mark.slow


async def test_drift_is_noticed_the_model_adapted_and_everything_stored(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    lines: list[dict[str, object]] = []
    # slow enough that what is fitted is also compared before the stream is over, on a busy machine too
    settings = settings.model_copy(update={"speed": 150.0})
    totals = await run_agent(settings, ready=lines.append, connect=device.connect, connect_frozen=device.connect)
    assert lines[0]["ready"] is True
    # at this speed a busy machine may lose windows; it may not lose count
    assert totals["windows"] + totals["windows_dropped"] == 220 - 132 + 220
    assert totals["drift_alerts"] >= 1
    assert totals["adaptations"]["committed"] >= 1
    assert totals["published"] == totals["stored"] == len(keeper.stored)
    alerts, adaptations = keeper.of(DriftAlert), keeper.of(Adaptation)
    assert alerts[0].window >= 220
    assert [a.phase for a in adaptations if a.phase is Phase.COMMITTED]
    assert sum(t.windows for t in keeper.of(Telemetry)) == totals["windows"]
    states = [s.state for s in keeper.of(State)]
    assert states[0] is DeviceState.STARTING
    assert states[-1] is DeviceState.FINISHED
    assert device.log == []
