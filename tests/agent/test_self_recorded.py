"""A wearable that records by itself: the agent's loop is the same, and no signal comes out of the wearable."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from schemas.adaptation import Adaptation, Phase
from schemas.command import Reply, ReplyStatus, Verb
from schemas.errors import UserError
from schemas.fault import Fault, FaultKind
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.real import model, recorder
from tests.wearable.conftest import Process


@pytest.fixture
def own(settings: AgentSettings, tmp_path: Path) -> AgentSettings:
    return settings.model_copy(
        update={"source": "wearable", "calibrate_windows": None, "sessions": None, "adapt": "never", **model(tmp_path)}
    )


def at(own: AgentSettings, process: Process) -> AgentSettings:
    process.start()
    return own.model_copy(update={"wearable": f"tcp://{process.address}"})


@pytest.mark.slow
async def test_its_windows_are_watched_and_the_model_is_adapted_on_command(
    own: AgentSettings, keeper: Keeper, tmp_path: Path
) -> None:
    process = recorder(tmp_path, [1, 2], 110, speed=60)
    try:
        task = asyncio.create_task(run_agent(at(own, process)))
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > 130)
        await keeper.command("a1", Verb.ADAPT)
        totals = await task
    finally:
        process.stop(signal.SIGKILL)
    assert totals["windows"] + totals["windows_dropped"] == 220
    assert totals["windows_dropped"] == 0
    telemetry = keeper.of(Telemetry)
    assert sum(t.windows for t in telemetry) == sum(t.labelled for t in telemetry) == 220
    assert telemetry[-1].last_window == 219
    assert min(t.latency.p50_ms for t in telemetry if t.latency) < 100
    assert [r.status for r in keeper.of(Reply)] == [ReplyStatus.ACCEPTED, ReplyStatus.DONE]
    phases = [a.phase for a in keeper.of(Adaptation)]
    assert phases[0] is Phase.STARTED
    assert phases[-1] in (Phase.COMMITTED, Phase.ROLLED_BACK)
    assert totals["published"] == totals["stored"]


@pytest.mark.slow
async def test_a_wearable_that_restarts_goes_on_with_growing_numbers(
    own: AgentSettings, keeper: Keeper, tmp_path: Path
) -> None:
    process = recorder(tmp_path, [1], 110, speed=120)
    task = asyncio.create_task(run_agent(at(own, process)))
    try:
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > 40)
        process.stop(signal.SIGKILL)
        process.start()
        totals = await task
    finally:
        if process.running is not None:
            process.stop(signal.SIGKILL)
    telemetry = keeper.of(Telemetry)
    firsts = [t.first_window for t in telemetry if t.windows]
    assert firsts == sorted(firsts)
    # its own recording began anew: 110 more windows behind those before the kill
    assert telemetry[-1].last_window > 110 + 40
    assert totals["windows"] + totals["windows_dropped"] == telemetry[-1].last_window + 1
    lost = [f.active for f in keeper.of(Fault) if f.fault is FaultKind.WEARABLE_LOST]
    assert lost == [True, False]


@pytest.mark.slow
async def test_the_next_run_of_the_agent_takes_the_recording_up_and_counts_what_it_missed(
    own: AgentSettings, keeper: Keeper, tmp_path: Path
) -> None:
    process = recorder(tmp_path, [1], 110, speed=120)
    try:
        here = at(own, process)
        task = asyncio.create_task(run_agent(here))
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.3)
        totals = await run_agent(here)
    finally:
        process.stop(signal.SIGKILL)
    assert totals["windows"] + totals["windows_dropped"] == 110
    assert totals["windows_dropped"] > 0


async def test_a_wearable_without_electrodes_is_refused_with_what_to_do(
    own: AgentSettings, keeper: Keeper, tmp_path: Path
) -> None:
    process = Process(tmp_path)
    try:
        with pytest.raises(UserError, match=r"does not record by itself.*biotrain wearable --record FILE"):
            await run_agent(at(own, process))
    finally:
        process.stop(signal.SIGKILL)


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"compare_frozen": True}, "leave --compare-frozen out"), ({"calibrate_windows": 5}, "--source recordings first")],
)
async def test_what_needs_the_signal_is_refused(own: AgentSettings, changed: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        await run_agent(own.model_copy(update=changed))
