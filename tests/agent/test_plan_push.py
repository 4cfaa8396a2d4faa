"""A pushed plan is fetched, checked and written without a lost window; one that does not serve changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_agent.plan_files import digest
from device_agent.settings import AgentSettings
from device_agent.start import run_agent
from messaging import Broker, BrokerSettings
from schemas.command import Reply, ReplyStatus
from schemas.desired import Desired, DeviceSettings
from schemas.plan import read_plan
from schemas.plan_push import PART_BYTES, Fetch, FileRef, Part, PlanStep, PlanWish
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from schemas.topics import DeviceTopic, Kind
from tests.agent.conftest import Keeper
from tests.agent.real import model
from tests.brokers import Mosquitto
from tests.plans import renamed, weights_for

pytestmark = pytest.mark.slow


@dataclass
class Shelf:
    """Answers what an agent fetches; `lose` answers are left out, `spoil` alters every piece."""

    broker: Broker
    keeper: Keeper
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[Fetch] = field(default_factory=list)
    lose: int = 0
    spoil: bool = False
    version: int = 0

    async def run(self) -> None:
        async for delivery in self.broker:
            delivery.acknowledge()
            fetch = Fetch.model_validate_json(delivery.payload)
            self.asked.append(fetch)
            if self.lose:
                self.lose -= 1
                continue
            file = self.files.get(fetch.sha256, b"")
            piece = file[fetch.offset : fetch.offset + PART_BYTES]
            part = Part.model_construct(
                schema_name=Part.SCHEMA, site=fetch.site, device=fetch.device, time=fetch.time, sha256=fetch.sha256,
                offset=fetch.offset, size=len(file), data=bytes(len(piece)) if self.spoil else piece,
            )  # fmt: skip
            await self.broker.publish(str(DeviceTopic(fetch.site, fetch.device, Kind.PART)), part.to_json())

    def put(self, file: bytes) -> FileRef:
        self.files[digest(file)] = file
        return FileRef(sha256=digest(file), size=len(file))

    async def push(self, identity: str, plan: bytes | None = None, weights: bytes | None = None) -> None:
        self.version += 1
        wish = PlanWish(
            command_id=identity,
            plan=None if plan is None else self.put(plan),
            weights=None if weights is None else self.put(weights),
            back=plan is None,
        )
        names = {"site": self.keeper.site, "device": self.keeper.device}
        desired = Desired(**names, version=self.version, settings=DeviceSettings(), plan=wish)
        topic = str(DeviceTopic(**names, kind=Kind.DESIRED))
        await self.keeper.broker.publish(topic, desired.to_json(), retain=True)

    async def end(self, identity: str) -> Reply:
        """The reply that ends the wish."""

        def ends() -> list[Reply]:
            mine = [reply for reply in self.keeper.of(Reply) if reply.command_id == identity]
            return [reply for reply in mine if reply.status is not ReplyStatus.ACCEPTED]

        await self.keeper.until(lambda: bool(ends()), 30)
        assert len(ends()) == 1
        return ends()[0]


@pytest.fixture
async def shelf(keeper: Keeper, mosquitto: Mosquitto) -> AsyncIterator[Shelf]:
    settings = BrokerSettings(port=mosquitto.port, client_id=f"shelf-{keeper.site}")
    async with Broker(settings, subscriptions=[str(DeviceTopic(keeper.site, "dev", Kind.FETCH))]) as broker:
        shelf = Shelf(broker, keeper)
        task = asyncio.create_task(shelf.run())
        await broker.next_connection()
        yield shelf
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def streaming(settings: AgentSettings, tmp_path: Path) -> AgentSettings:
    """A real wearable in the agent's process, and a stream that is longer than any test."""
    changes = {"calibrate_windows": None, "adapt": "never", "trials": 2000, "sessions": (1,), "speed": 150.0}
    return settings.model_copy(update={**changes, **model(tmp_path)})


@contextlib.asynccontextmanager
async def running(settings: AgentSettings, keeper: Keeper) -> AsyncIterator[None]:
    before = len(keeper.of(Telemetry))
    task = asyncio.create_task(run_agent(settings))
    try:
        await keeper.until(lambda: task.done() or len(keeper.of(Telemetry)) > before)
        assert not task.done(), task.exception()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def dropped(keeper: Keeper) -> int:
    return sum(row.windows_dropped for row in keeper.of(Telemetry))


def windows_that_came(keeper: Keeper) -> int:
    assert not dropped(keeper)
    return sum(row.windows for row in keeper.of(Telemetry))


def runs(keeper: Keeper) -> str | None:
    """The plan that the device has last reported, once its wish has ended."""
    plan = keeper.reported[-1].plan if keeper.reported else None
    return plan.plan_hash if plan is not None and plan.step in (PlanStep.RUNNING, PlanStep.REFUSED) else None


async def test_a_pushed_plan_runs_without_a_lost_window_and_outlives_a_restart_of_the_agent(
    streaming: AgentSettings, keeper: Keeper, shelf: Shelf
) -> None:
    assert streaming.plan is not None
    assert streaming.weights is not None
    old, first = streaming.plan.read_bytes(), streaming.weights.read_bytes()
    new = renamed(old, "eog-two")
    async with running(streaming, keeper):
        shelf.lose = 1
        await shelf.push("push-1", new, weights_for(new, first, version=7, noise=1e-3))
        end = await shelf.end("push-1")
        assert end.status is ReplyStatus.DONE
        seen = windows_that_came(keeper)
        await keeper.until(lambda: windows_that_came(keeper) > seen + 100)
        await keeper.until(lambda: runs(keeper) == read_plan(new).hash)
        report = keeper.reported[-1]
        assert report.version == 1
        assert report.plan is not None
        assert (report.plan.step, report.plan.command_id) == (PlanStep.RUNNING, "push-1")
        assert (report.plan.plan_hash, report.plan.weights_version) == (read_plan(new).hash, 7)
        told = [state for state in keeper.of(State) if "pushed plan" in state.detail][-1]
        assert (told.model, told.plan_hash, told.weights_version) == ("eog-two", read_plan(new).hash, 7)
    async with running(streaming, keeper):  # its --plan is still the old one
        await keeper.until(lambda: keeper.of(State)[-1].state is DeviceState.ONLINE)
        assert keeper.of(State)[-1].plan_hash == read_plan(new).hash
        await keeper.until(lambda: bool(dropped(keeper)))  # while the agent was away
        missed, periods = dropped(keeper), len(keeper.of(Telemetry))
        await shelf.push("back-1")
        assert (await shelf.end("back-1")).status is ReplyStatus.DONE
        await keeper.until(lambda: runs(keeper) == read_plan(old).hash)
        await shelf.push("back-2")
        end = await shelf.end("back-2")
        assert end.status is ReplyStatus.REFUSED
        assert "no plan from before" in end.detail
        await keeper.until(lambda: len(keeper.of(Telemetry)) > periods + 5)
        assert dropped(keeper) == missed


async def test_what_is_damaged_or_made_for_other_windows_is_refused_and_the_old_plan_goes_on(
    streaming: AgentSettings, keeper: Keeper, shelf: Shelf
) -> None:
    assert streaming.plan is not None
    assert streaming.weights is not None
    old, first = streaming.plan.read_bytes(), streaming.weights.read_bytes()
    new = renamed(old, "eog-two")
    async with running(streaming, keeper):
        for number, (plan, weights, word) in enumerate(
            [
                (new[:-1], None, "cut or padded"),
                (b"BTPX" + new[4:], None, "no plan file"),
                (new, first, "these weights belong to plan"),
            ]
        ):
            await shelf.push(f"bad-{number}", plan, weights)
            end = await shelf.end(f"bad-{number}")
            assert end.status is ReplyStatus.REFUSED
            assert word in end.detail
        shelf.spoil = True
        await shelf.push("spoilt", renamed(old, "eog-three"))
        assert "altered on its way" in (await shelf.end("spoilt")).detail
        shelf.spoil = False
        shelf.files.clear()
        gone = FileRef(sha256="ab" * 32, size=10)
        wish = PlanWish(command_id="gone", plan=gone)
        shelf.version += 1
        desired = Desired(site=keeper.site, device="dev", version=shelf.version, settings=DeviceSettings(), plan=wish)
        await keeper.broker.publish(str(DeviceTopic(keeper.site, "dev", Kind.DESIRED)), desired.to_json(), retain=True)
        assert "does not have the file" in (await shelf.end("gone")).detail
        await keeper.until(lambda: runs(keeper) == read_plan(old).hash)
    windows_that_came(keeper)


async def test_the_plan_of_before_pushed_again_begins_with_the_weights_of_then(
    streaming: AgentSettings, keeper: Keeper, shelf: Shelf
) -> None:
    """Devices that refuse an older plan come back so: the same plan, signed anew, as a push of its own."""
    assert streaming.plan is not None
    assert streaming.weights is not None
    old, first = streaming.plan.read_bytes(), streaming.weights.read_bytes()
    new = renamed(old, "eog-two")
    async with running(streaming, keeper):
        await shelf.push("push-1", new, weights_for(new, first, version=7, noise=1.0))
        assert (await shelf.end("push-1")).status is ReplyStatus.DONE
        await shelf.push("return-1", old)
        assert (await shelf.end("return-1")).status is ReplyStatus.DONE
        await keeper.until(lambda: runs(keeper) == read_plan(old).hash)
        report = keeper.reported[-1].plan
        assert report is not None
        assert report.weights_version == 1
    windows_that_came(keeper)


async def test_a_plan_without_weights_keeps_those_that_the_wearable_has_learned(
    streaming: AgentSettings, keeper: Keeper, shelf: Shelf
) -> None:
    assert streaming.plan is not None
    new = renamed(streaming.plan.read_bytes(), "eog-two")
    async with running(streaming, keeper):
        version = keeper.of(State)[-1].weights_version
        await shelf.push("push-1", new)
        assert (await shelf.end("push-1")).status is ReplyStatus.DONE
        await keeper.until(lambda: runs(keeper) == read_plan(new).hash)
        report = keeper.reported[-1].plan
        assert report is not None
        assert report.weights_version == version
        asked = len(shelf.asked)
        await shelf.push("push-2", new)
        assert "runs already" in (await shelf.end("push-2")).detail
        assert len(shelf.asked) == asked
    windows_that_came(keeper)
