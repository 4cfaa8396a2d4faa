"""What an operator sets from afar is taken up once, kept over restarts, and reported with its version."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation
from schemas.desired import DeviceSettings
from schemas.drift import DriftAlert
from schemas.state import DeviceState, State
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device


@contextlib.asynccontextmanager
async def running(settings: AgentSettings, device: Device):
    task = asyncio.create_task(run_agent(settings, connect=device.connect, connect_frozen=device.connect))
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.slow
async def test_a_paused_device_alerts_and_begins_no_adaptation(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    await keeper.desire(3, paused=True)  # waits at the broker until the device is there
    totals = await run_agent(settings, connect=device.connect, connect_frozen=device.connect)
    assert totals["drift_alerts"] >= 1
    assert totals["adaptations"]["started"] == 0
    assert keeper.of(DriftAlert)
    assert {a.trigger for a in keeper.of(Adaptation)} == {"calibration"}
    assert keeper.reported[-1].version == 3
    assert keeper.reported[-1].settings.paused is True


@pytest.mark.slow
async def test_the_newest_version_is_in_force_and_what_is_not_set_stays_as_it_was_started(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    slow = settings.model_copy(update={"calibrate_windows": None, "speed": 10.0, "risk": 0.2})
    own = DeviceSettings(paused=False, risk=0.2, cool_down_s=0.0)
    async with running(slow, device):
        await keeper.until(lambda: len(keeper.reported) == 1)
        assert (keeper.reported[0].version, keeper.reported[0].settings) == (0, own)
        await keeper.desire(1, risk=0.01, cool_down_s=600)
        await keeper.until(lambda: keeper.reported[-1].version == 1)
        assert keeper.reported[-1].settings == DeviceSettings(paused=False, risk=0.01, cool_down_s=600)
        await keeper.desire(5, paused=True)
        await keeper.until(lambda: keeper.reported[-1].version == 5)
        assert keeper.reported[-1].settings == own.model_copy(update={"paused": True})
        await keeper.desire(4, paused=False)  # came late
        await keeper.until(lambda: len(keeper.reported) == 4)
        assert keeper.reported[-1] == keeper.reported[-2].model_copy(update={"time": keeper.reported[-1].time})
        await keeper.until(lambda: DeviceState.ONLINE in [s.state for s in keeper.of(State)])
    told = len(keeper.reported)
    async with running(slow.model_copy(update={"seed": 2}), device):  # another stream
        await keeper.until(lambda: len(keeper.reported) > told)
        assert (keeper.reported[-1].version, keeper.reported[-1].settings.paused) == (5, True)


async def test_a_risk_that_nobody_may_set_from_afar_is_left_out_of_the_report(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    async with running(settings.model_copy(update={"risk": 0.9}), device):
        await keeper.until(lambda: bool(keeper.reported))
    assert keeper.reported[0].settings.risk is None
