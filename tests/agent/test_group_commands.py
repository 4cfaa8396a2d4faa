"""Commands to a group: every device that was told to listen obeys once, and answers for itself."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from device_agent.listener import subscriptions
from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from messaging import Broker, BrokerSettings
from schemas.base import utc_now
from schemas.command import GroupCommand, Reply, ReplyStatus, Verb
from schemas.messages import MessageError, parse_group_command
from schemas.state import DeviceState, State
from schemas.topics import FROM_DEVICE, DeviceTopic, GroupTopic, TopicError
from tests.agent.conftest import Keeper
from tests.agent.fake_wearable import Device
from tests.brokers import Mosquitto


@contextlib.asynccontextmanager
async def running(settings: AgentSettings, device: Device):
    task = asyncio.create_task(run_agent(settings, connect=device.connect, connect_frozen=device.connect))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def keeper_of(mosquitto: Mosquitto, site: str, device: str):
    settings = BrokerSettings(port=mosquitto.port, client_id=f"keeper-{site}-{device}")
    topics = [str(DeviceTopic(site, device, kind)) for kind in FROM_DEVICE]
    async with Broker(settings, subscriptions=topics) as broker:
        keeper = Keeper(broker, site, device)
        task = asyncio.create_task(keeper.run())
        await broker.next_connection()
        yield keeper
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def replies(keeper: Keeper, identity: str) -> list[ReplyStatus]:
    return [reply.status for reply in keeper.of(Reply) if reply.command_id == identity]


def online(keeper: Keeper) -> bool:
    return DeviceState.ONLINE in [state.state for state in keeper.of(State)]


@pytest.mark.slow
async def test_every_device_of_a_group_obeys_once_and_answers_for_itself(
    settings: AgentSettings, device: Device, keeper: Keeper, mosquitto: Mosquitto
) -> None:
    slow = {"speed": 20.0, "calibrate_windows": None, "adapt": "never"}
    first = settings.model_copy(update={**slow, "groups": ("left", "ward-2")})
    other_device = Device(device.classes, device.channels, device.samples, device.sampling_rate_hz, "fake-2")
    second = settings.model_copy(
        update={**slow, "device": "dev2", "groups": ("ward-2",), "state_dir": settings.state_dir.with_name("second")}
    )
    async with (
        keeper_of(mosquitto, keeper.site, "dev2") as other,
        running(first, device),
        running(second, other_device),
    ):
        await keeper.until(lambda: online(keeper) and online(other))
        await keeper.command_group("ward-2", "both", Verb.PING)
        await keeper.command_group("ward-2", "both", Verb.PING)
        await keeper.command_group("left", "one", Verb.PING)
        await keeper.command_group("right", "none", Verb.PING)
        await keeper.command_group("ward-2", "late", Verb.PING, expires=utc_now() - timedelta(seconds=1))
        await keeper.command_group("all", "everybody", Verb.PING)  # without having been told
        for known in (keeper, other):
            await known.until(lambda known=known: len(replies(known, "everybody")) == 2)
    done = [ReplyStatus.ACCEPTED, ReplyStatus.DONE]
    assert replies(keeper, "both") == replies(other, "both") == done
    assert (replies(keeper, "one"), replies(other, "one")) == (done, [])
    assert replies(keeper, "none") == replies(other, "none") == []
    assert replies(keeper, "late") == replies(other, "late") == [ReplyStatus.REFUSED]


def test_a_group_whose_name_cannot_stand_in_a_topic_is_refused() -> None:
    with pytest.raises(TopicError, match=r"group 'a/b' cannot stand in a topic"):
        subscriptions("lab", "cap", ["a/b"])


@pytest.mark.parametrize(
    "topic", ["biotrain/v1/lab/group/command", "biotrain/v1/lab/group/x/reply", "a/b/c/d/e/command"]
)
def test_another_topic_is_no_groups(topic: str) -> None:
    with pytest.raises(TopicError):
        GroupTopic.parse(topic)


def test_a_command_for_another_group_than_its_topics_is_refused() -> None:
    command = GroupCommand(site="lab", group="left", command_id="c1", verb=Verb.PING)
    assert parse_group_command(GroupTopic("lab", "left"), command.to_json()) == command
    with pytest.raises(MessageError, match="payload names group lab/left, its topic lab/right"):
        parse_group_command(GroupTopic("lab", "right"), command.to_json())
