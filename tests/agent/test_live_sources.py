"""A live stream of another process, an agent, a real virtual wearable: adapted end to end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Phase
from schemas.command import Reply, ReplyStatus, Verb
from schemas.health import Health
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device
from tests.agent.real import model
from tests.sources.test_lsl import playing
from tests.wearable.conftest import Process

#: Clocks: not for every quick run.
pytestmark = pytest.mark.slow

pytest.importorskip("pylsl")


@pytest.mark.slow
async def test_an_lsl_stream_is_classified_watched_and_adapted_to(
    settings: AgentSettings, keeper: Keeper, tmp_path: Path
) -> None:
    process = Process(tmp_path)
    process.start()
    try:
        with playing("sim", 990, speed=30, lost="30100:25") as name:
            live = {"source": "lsl", "stream": name, "markers": f"{name}-markers", "speed": 1.0}
            asked = {"wearable": f"tcp://{process.address}", "calibrate_windows": None, "sessions": None}
            task = asyncio.create_task(
                run_agent(settings.model_copy(update={**live, **asked, "adapt": "never", **model(tmp_path)}))
            )
            await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) >= 90)
            await keeper.command("a1", Verb.ADAPT)
            await keeper.until(lambda: len(keeper.of(Reply)) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    finally:
        process.stop(signal.SIGKILL)
    telemetry = keeper.of(Telemetry)
    assert sum(t.labelled for t in telemetry) == sum(t.windows for t in telemetry) >= 90
    assert sum(t.windows_dropped for t in telemetry) == 1, "the window with the hole"
    assert keeper.of(Reply)[-1].status is ReplyStatus.DONE
    assert keeper.of(Adaptation)[-1].phase in (Phase.COMMITTED, Phase.ROLLED_BACK)
    source = keeper.of(Health)[-1].source
    assert source is not None
    assert source.lost_samples == 25


@pytest.mark.slow
async def test_brainflows_synthetic_board_streams_into_the_agent_without_a_loss(
    settings: AgentSettings, keeper: Keeper
) -> None:
    device = Device(("rest", "blink"), ("Oz", "Fz"), 125, 250.0)
    board = {"source": "brainflow", "stream": "synthetic", "hop_s": 0.1, "calibrate_windows": None, "sessions": None}
    agent = asyncio.create_task(
        run_agent(
            settings.model_copy(update={**board, "speed": 1.0}), connect=device.connect, connect_frozen=device.connect
        )
    )
    # ten a second; for the minute of docs/measured.md: BIOTRAIN_BOARD_WINDOWS=600
    wanted = int(os.environ.get("BIOTRAIN_BOARD_WINDOWS", "60"))
    await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) >= wanted, 60.0 + wanted / 10)
    await keeper.until(lambda: keeper.of(Health)[-1].source is not None)
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent
    assert sum(t.windows_dropped for t in keeper.of(Telemetry)) == 0
    assert keeper.of(Health)[-1].source.lost_samples == 0
