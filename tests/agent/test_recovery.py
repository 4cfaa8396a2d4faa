"""Links cut, brokers killed, agents killed: nothing is lost, nothing is told twice."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from device_agent.wearable.api import DeviceEventKind
from messaging import Broker, BrokerSettings
from schemas.adaptation import Adaptation, Phase
from schemas.base import utc_now
from schemas.command import Reply, ReplyStatus, Verb
from schemas.errors import UserError
from schemas.fault import Fault, FaultKind
from schemas.state import DeviceState, State
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device
from tests.brokers import Mosquitto


def assert_nothing_lost(keeper: Keeper, device: Device, state_dir: Path) -> None:
    """Every entry of the wearable's log and every line of the agent's is in the store, once."""
    told = [m.device_event for m in keeper.stored.values() if m.device_event is not None]
    ours = sorted((event.boot, event.seq) for event in told)
    assert ours == sorted((event.boot, event.seq) for event in device.everything)
    logged = [json.loads(line) for line in (state_dir / "events.jsonl").read_text().splitlines()]
    assert {(line["boot"], line["seq"]) for line in logged} <= set(keeper.stored)


def assert_every_adaptation_has_one_beginning_and_one_end(keeper: Keeper) -> None:
    adaptations: dict[str, list[Phase]] = {}
    for message in keeper.of(Adaptation):
        adaptations.setdefault(message.adaptation_id, []).append(message.phase)
    for phases in adaptations.values():
        assert phases[0] is Phase.STARTED
        assert phases.count(Phase.STARTED) == 1
        assert phases[-1] in (Phase.COMMITTED, Phase.ROLLED_BACK, Phase.FAILED)
        assert all(phase is Phase.PROGRESS for phase in phases[1:-1])


async def stop(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def start(settings: AgentSettings, device: Device) -> asyncio.Task[dict[str, object]]:
    return asyncio.create_task(run_agent(settings, connect=device.connect, connect_frozen=device.connect))


def fitting(device: Device) -> bool:
    """An adaptation to drift is on its way: fit 1 was the calibration."""
    return device.fit is not None and device.fit_id > 1


@pytest.mark.slow
async def test_a_link_that_breaks_in_the_middle_of_a_fit_costs_that_fit_and_nothing_else(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    task = start(settings.model_copy(update={"sessions": (1, 2, 3), "speed": 250.0}), device)
    await keeper.until(lambda: any(d.kind is DeviceEventKind.COMMITTED for d in device.everything))
    device.epoch_s = 0.05
    await keeper.until(lambda: fitting(device))
    device.cut()
    device.epoch_s = 0.002
    totals = await task
    assert totals["adaptations"]["failed"] == 1
    assert totals["adaptations"]["committed"] >= 1
    faults = [(f.fault, f.active) for f in keeper.of(Fault) if f.fault is FaultKind.WEARABLE_LOST]
    assert faults == [(FaultKind.WEARABLE_LOST, True), (FaultKind.WEARABLE_LOST, False)]
    assert DeviceState.WEARABLE_LOST in [s.state for s in keeper.of(State)]
    assert totals["published"] == totals["stored"] == len(keeper.stored)
    assert totals["windows"] + totals["windows_dropped"] == 528
    assert_nothing_lost(keeper, device, settings.state_dir)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@pytest.mark.slow
async def test_a_wearable_that_restarts_in_the_middle_of_a_fit_is_adapted_later(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    task = start(settings, device)
    await keeper.until(lambda: any(d.kind is DeviceEventKind.COMMITTED for d in device.everything))
    device.epoch_s = 0.05
    await keeper.until(lambda: fitting(device))
    device.restart()
    device.epoch_s = 0.002
    totals = await task
    assert totals["adaptations"]["failed"] == 1
    assert totals["published"] == totals["stored"]
    assert_nothing_lost(keeper, device, settings.state_dir)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@pytest.mark.slow
async def test_an_agent_stopped_in_the_middle_of_a_fit_ends_it_as_failed_when_it_is_back(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    task = start(settings, device)
    await keeper.until(lambda: any(d.kind is DeviceEventKind.COMMITTED for d in device.everything))
    device.epoch_s = 0.05
    await keeper.until(lambda: fitting(device))
    await stop(task)
    await keeper.until(lambda: keeper.of(State)[-1].state is DeviceState.OFFLINE)
    device.epoch_s = 0.002
    totals = await start(settings, device)
    failed = [a for a in keeper.of(Adaptation) if a.phase is Phase.FAILED]
    assert [a.reason for a in failed] == ["the agent was restarted during the adaptation"]
    assert device.candidate is None
    assert device.fit is None
    assert totals["windows"] + totals["windows_dropped"] == 308, "the stream goes on where it is by now"
    assert len({boot for boot, _ in keeper.stored}) == 2
    assert totals["published"] == totals["stored"] == len(keeper.stored)
    assert_nothing_lost(keeper, device, settings.state_dir)
    assert_every_adaptation_has_one_beginning_and_one_end(keeper)


@pytest.mark.slow
async def test_messages_wait_until_somebody_stores_them(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    keeper.acknowledging = False
    task = start(settings.model_copy(update={"finish_timeout_s": 20.0}), device)
    await keeper.until(lambda: any(s.state is DeviceState.FINISHED for s in keeper.of(State)))
    await asyncio.sleep(0.3)
    assert not task.done(), "it has ended although nothing is stored"
    keeper.acknowledging = True  # what is sent once more is now acknowledged
    totals = await task
    assert totals["published"] == totals["stored"] == len(keeper.stored)


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    settings: AgentSettings, device: Device, tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path / "own-broker")
    broker.start()
    topics = [f"biotrain/v1/{settings.site}/dev/#"]
    async with Broker(BrokerSettings(port=broker.port, client_id="own"), subscriptions=topics) as client:
        keeper = Keeper(client, settings.site, "dev")
        run = asyncio.create_task(_keep(keeper))
        await client.next_connection()
        task = start(settings.model_copy(update={"broker": broker.address, "finish_timeout_s": 30.0}), device)
        await keeper.until(lambda: len(keeper.stored) > 20)
        broker.kill()
        await asyncio.sleep(0.5)
        broker.restart()
        totals = await task
        run.cancel()
    broker.stop()
    assert totals["windows_dropped"] == 0
    assert totals["published"] == totals["stored"] == len(keeper.stored)
    assert_nothing_lost(keeper, device, settings.state_dir)


async def _keep(keeper: Keeper) -> None:
    from messaging import PublishError

    while True:
        try:
            await keeper.run()
        except PublishError:
            await keeper.broker.next_connection()


@pytest.mark.slow
async def test_commands_are_answered_executed_once_and_refused_when_expired(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    task = start(settings.model_copy(update={"speed": 150.0, "adapt": "never"}), device)
    await keeper.until(lambda: DeviceState.ONLINE in [s.state for s in keeper.of(State)])
    await keeper.command("p1", Verb.PING)
    await keeper.command("old", Verb.ROLL_BACK, expires=utc_now() - timedelta(seconds=1))
    await keeper.command("r1", Verb.ROLL_BACK)
    await keeper.command("r1", Verb.ROLL_BACK)
    await keeper.until(lambda: len([r for r in keeper.of(Reply) if r.command_id == "r1"]) == 2)
    await keeper.until(lambda: keeper.of(Reply) and len(device.pushed) > 240)
    await keeper.command("a1", Verb.ADAPT)
    await keeper.until(lambda: len([r for r in keeper.of(Reply) if r.command_id == "a1"]) == 2)
    await stop(task)
    replies: dict[str, list[ReplyStatus]] = {}
    for reply in keeper.of(Reply):
        replies.setdefault(reply.command_id, []).append(reply.status)
    assert replies == {
        "p1": [ReplyStatus.ACCEPTED, ReplyStatus.DONE],
        "old": [ReplyStatus.REFUSED],
        "r1": [ReplyStatus.ACCEPTED, ReplyStatus.DONE],
        "a1": [ReplyStatus.ACCEPTED, ReplyStatus.DONE],
    }
    assert [d.kind for d in device.everything].count(DeviceEventKind.ROLLED_BACK) == 1
    assert [a.trigger for a in keeper.of(Adaptation)][-1] == "command"


@pytest.mark.slow
async def test_a_wearable_that_is_not_there_is_waited_for(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    device.reachable = False
    task = start(settings, device)
    await asyncio.sleep(0.4)
    assert not task.done()
    device.reachable = True
    assert (await task)["windows"] == 308


async def test_a_source_that_does_not_fit_the_plan_is_refused_by_name(
    settings: AgentSettings, device: Device, keeper: Keeper
) -> None:
    device.sampling_rate_hz = 250.0
    with pytest.raises(UserError, match=r"sampling rate: the source .* has 500 Hz, the wearable's plan .* 250 Hz"):
        await run_agent(settings, connect=device.connect, connect_frozen=device.connect)
