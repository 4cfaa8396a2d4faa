"""The agent beside a real virtual wearable: killed, cut off or stopped in the middle of a fit, nothing stays stuck."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings, FitSettings
from device_agent.start import run_agent
from device_agent.wearable.connect import connect
from schemas.adaptation import Adaptation, Phase
from schemas.command import Reply, ReplyStatus, Verb
from schemas.fault import Fault, FaultKind
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from tests.agent.conftest import Keeper
from tests.agent.real import model
from tests.agent.test_recovery import assert_every_adaptation_has_one_beginning_and_one_end
from tests.wearable.conftest import QUICK, Process


@pytest.fixture
def wearable(tmp_path: Path) -> Iterator[Process]:
    folder = tmp_path / "device"
    folder.mkdir()
    process = Process(folder)
    process.start()
    yield process
    if process.running is not None:
        process.stop(signal.SIGKILL)


@pytest.fixture
def real(settings: AgentSettings, wearable: Process, tmp_path: Path) -> AgentSettings:
    """A session of 100 windows a second; fits, on command only, take a second or two."""
    return settings.model_copy(
        update={
            "wearable": f"tcp://{wearable.address}",
            "sessions": (1,),
            "trials": 440,
            "speed": 300.0,
            "calibrate_windows": None,
            "adapt": "never",
            "fit": FitSettings(epochs=60),
            **model(tmp_path),
        }
    )


def replies(keeper: Keeper, identity: str) -> list[ReplyStatus]:
    said = [reply for reply in keeper.of(Reply) if reply.command_id == identity]
    print(*(f"{identity}: {reply.status}, {reply.detail}" for reply in said[1:]), sep="\n")  # for a failed test
    return [reply.status for reply in said]


async def adapting(keeper: Keeper, identity: str = "a1") -> None:
    """Streams until there are enough windows; then a fit is on its way."""
    await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > 110)
    await keeper.command(identity, Verb.ADAPT)
    await keeper.until(lambda: any(a.phase is Phase.PROGRESS for a in keeper.of(Adaptation)))


def assert_log_is_stored_once(keeper: Keeper, wearable: Process) -> None:
    told = [m.device_event for m in keeper.stored.values() if m.device_event is not None]
    assert sorted((e.boot, e.seq) for e in told) == sorted((line["boot"], line["seq"]) for line in wearable.logged())


@pytest.mark.slow
async def test_a_wearable_that_is_killed_in_the_middle_of_a_fit_is_adapted_later(
    real: AgentSettings, keeper: Keeper, wearable: Process
) -> None:
    task = asyncio.create_task(run_agent(real.model_copy(update={"trials": 1100})))
    await adapting(keeper)
    wearable.stop(signal.SIGKILL)
    wearable.start()
    await keeper.until(lambda: replies(keeper, "a1")[1:] == [ReplyStatus.FAILED])
    before = sum(t.windows for t in keeper.of(Telemetry))
    # its ring is empty: new windows are needed before the next
    await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > before + 110)
    await keeper.command("a2", Verb.ADAPT)
    totals = await task
    assert replies(keeper, "a2") == [ReplyStatus.ACCEPTED, ReplyStatus.DONE]
    assert totals["adaptations"]["failed"] == 1
    assert totals["adaptations"]["started"] == 2
    assert totals["windows"] + totals["windows_dropped"] == 1100
    assert [f.active for f in keeper.of(Fault) if f.fault is FaultKind.WEARABLE_LOST] == [True, False]
    assert totals["published"] == totals["stored"] == len(keeper.stored)
    assert_log_is_stored_once(keeper, wearable)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@pytest.mark.slow
async def test_an_agent_stopped_in_the_middle_of_a_fit_leaves_the_wearable_free(
    real: AgentSettings, keeper: Keeper, wearable: Process
) -> None:
    task = asyncio.create_task(run_agent(real))
    await adapting(keeper)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    totals = await run_agent(real)
    ends = [a for a in keeper.of(Adaptation) if a.phase in (Phase.COMMITTED, Phase.ROLLED_BACK, Phase.FAILED)]
    assert [(a.phase, a.reason) for a in ends] == [(Phase.FAILED, "the agent was restarted during the adaptation")]
    assert replies(keeper, "a1")[-1] is ReplyStatus.FAILED
    device = await connect(real.wearable, timing=QUICK)
    statistics = await device.statistics()
    assert (statistics.fitting, statistics.candidate, statistics.weights_version) == (False, False, 1)
    await device.close()
    assert totals["windows"] + totals["windows_dropped"] == 440
    assert_log_is_stored_once(keeper, wearable)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@contextlib.asynccontextmanager
async def cuttable(address: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A cable to the wearable that is pulled for a moment whenever the event is set."""
    cut = asyncio.Event()
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = address.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        both = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
        pumps.update(both)
        await cut.wait()
        cut.clear()
        for side in (writer, far_writer):
            side.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", cut
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@pytest.mark.slow
async def test_a_cable_that_is_pulled_in_the_middle_of_a_fit_costs_nothing(
    real: AgentSettings, keeper: Keeper, wearable: Process
) -> None:
    async with cuttable(wearable.address) as (address, cut):
        task = asyncio.create_task(run_agent(real.model_copy(update={"wearable": address, "trials": 330})))
        await adapting(keeper)
        cut.set()
        totals = await task
        cut.set()
    assert replies(keeper, "a1") == [ReplyStatus.ACCEPTED, ReplyStatus.DONE]
    assert totals["adaptations"]["failed"] == 0
    assert totals["windows"] + totals["windows_dropped"] == 330
    assert_log_is_stored_once(keeper, wearable)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@contextlib.contextmanager
def agent_process(real: AgentSettings) -> Iterator[subprocess.Popen[str]]:
    """An agent that is killed at the end, if it has not been ended before."""
    words = [
        "agent", "--wearable", "local", "--broker", real.broker, "--site", real.site, "--device", real.device,
        "--state-dir", str(real.state_dir), "--plan", str(real.plan), "--weights", str(real.weights), "--sessions", "1",
        "--trials", "1100", "--speed", "150", "--adapt", "never", "--epochs", "20", "--telemetry-period", "0.2",
        "--risk", "0.999", "--json",
    ]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "biotrain", *words], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
async def test_a_local_wearable_keeps_weights_log_and_windows_when_its_process_is_killed(
    real: AgentSettings, keeper: Keeper
) -> None:
    with agent_process(real):
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) > 120)
        await keeper.command("a1", Verb.ADAPT)
        await keeper.until(lambda: len(replies(keeper, "a1")) == 2)
        committed = [a for a in keeper.of(Adaptation) if a.phase is Phase.COMMITTED]
        assert [a.to_version for a in committed] == [2]
    seen = sum(t.windows for t in keeper.of(Telemetry))
    with agent_process(real) as second:
        await keeper.until(lambda: keeper.of(State)[-1].boot > committed[0].boot)
        await keeper.until(lambda: keeper.of(State)[-1].state is DeviceState.ONLINE)
        assert keeper.of(State)[-1].weights_version == 2, "what was committed serves again"
        # whatever passed while nobody was there is lost; a few new windows, and those in its ring, are enough
        await keeper.until(lambda: sum(t.windows for t in keeper.of(Telemetry)) >= seen + 50)
        await keeper.command("a2", Verb.ADAPT)
        await keeper.until(lambda: len(replies(keeper, "a2")) == 2)
        assert replies(keeper, "a2") == [ReplyStatus.ACCEPTED, ReplyStatus.DONE]
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    started = [a for a in keeper.of(Adaptation) if a.phase is Phase.STARTED]
    new = sum(t.windows for t in keeper.of(Telemetry) if t.boot == started[1].boot and t.seq < started[1].seq)
    assert started[1].train_windows > new, "windows from before the kill are trained on"
    assert started[1].train_windows >= started[0].train_windows
    log = [json.loads(line) for line in (real.state_dir / "wearable.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in log].count("BOOTED") == 2
    told = [m.device_event for m in keeper.stored.values() if m.device_event is not None]
    assert len(told) == len({(e.boot, e.seq) for e in told}), "no entry of its log is told twice"
