"""Faults of the way here, as they are seen at each heartbeat."""

from __future__ import annotations

import asyncio

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.fault import Fault, FaultKind
from schemas.health import Health
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device


async def test_a_link_that_damages_frames_is_a_fault_until_it_damages_none(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    # Slow enough for a few heartbeats; what the noise of a radio damages (nine) is none.
    settings = settings.model_copy(update={"speed": 20.0, "telemetry_period_s": 0.05, "health_period_s": 0.1})
    agent = asyncio.create_task(run_agent(settings, connect=device.connect, connect_frozen=device.connect))

    def faults() -> list[tuple[bool, str]]:
        return [(f.active, f.detail) for f in keeper.of(Fault) if f.fault is FaultKind.LINK_CORRUPT]

    async def next_heartbeat() -> None:
        """One that was made after now."""
        seen = len(keeper.of(Health))
        await keeper.until(lambda: len(keeper.of(Health)) >= seen + 2 or agent.done())
        assert not agent.done(), agent.result()

    try:
        device.frames_corrupt = 500  # before this agent looked: none of its concern
        await next_heartbeat()
        device.frames_corrupt += 9
        await next_heartbeat()
        assert faults() == []
        device.frames_corrupt += 10
        await keeper.until(lambda: len(faults()) == 2)
        assert faults() == [(True, "10 damaged frames since the last heartbeat"), (False, "")]
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
