"""A roll-out's steps on both databases: what is counted for whom, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from biotrain.trust.signing import sign_plan
from messaging import Broker, BrokerSettings
from schemas.base import utc_now
from schemas.command import ReplyStatus
from schemas.desired import Desired
from schemas.errors import UserError
from schemas.health import Health
from service.pushes import PushDesk
from service.rollout.desk import RolloutDesk
from service.rollout.settings import RolloutSettings
from service.rollout.signed import check_way_back
from service.store.alert_rows import Channels
from service.store.batch import AlertChange
from service.store.database import Database
from service.store.desired import set_desired
from service.store.plans import add_plan
from service.store.rollouts import devices_of, evidence, rollout_by_id
from service.store.tables_operations import commands, desired, rollout_devices
from tests.agent.real import model
from tests.brokers import free_port
from tests.plans import renamed
from tests.service.story import Published, Story, publish_form
from tests.service.test_store import arrived, database, store  # noqa: F401

NAMES = [f"band-{number}" for number in range(4)]
SETTINGS = RolloutSettings(shares=(0.25, 1.0), hold_s=0, min_labelled=100, settle_s=10, before_s=3600)


class Fleet:
    """Devices that answer and work as they are told to, a few seconds after one another on the store's clock."""

    def __init__(self, opened: Database) -> None:
        self.database, self.alerts = opened, list[AlertChange]()
        broker = Broker(BrokerSettings(port=free_port(), client_id="nobody"))  # never connected: nothing is sent
        pushes = PushDesk(opened, broker)
        self.desk = RolloutDesk(opened, pushes, Channels(), self.alerts.extend)
        self.stories = {name: Story(device=name, seed=place) for place, name in enumerate(NAMES)}

    async def say(self, name: str, said: Iterator[Published] | list[Published], seconds_from_now: float) -> None:
        at = utc_now() + timedelta(seconds=seconds_from_now)
        await store(self.database, *(arrived(one, at) for one in said))

    async def answer(self, name: str, status: ReplyStatus) -> None:
        async with self.database.read() as connection:
            query = select(commands.c.command_id).where(commands.c.device == name).order_by(commands.c.id.desc())
            newest = (await connection.execute(query.limit(1))).scalar_one()
        await self.say(name, [self.stories[name].reply(newest, status, "said so")], 0)

    async def states(self, number: int) -> dict[str, str]:
        return {row["device"]: row["state"] for row in await devices_of(self.database, number)}

    async def time_passes(self, number: int, seconds: float) -> None:
        """What lies behind us is so much older."""
        back = timedelta(seconds=seconds)
        async with self.database.write() as connection:
            for row in (await connection.execute(select(rollout_devices))).mappings().all():
                changes = {c: row[c] - back for c in ("asked", "changed", "counts_from") if row[c] is not None}
                if changes:
                    mine = (rollout_devices.c.rollout == number, rollout_devices.c.device == row["device"])
                    await connection.execute(update(rollout_devices).where(*mine).values(changes))


@pytest.fixture
async def fleet(database: Database) -> Fleet:  # noqa: F811
    fleet = Fleet(database)
    for name in NAMES:
        await fleet.say(name, fleet.stories[name].days(30, accuracy=0.9, frozen=0.9), -600)
    return fleet


async def begin(fleet: Fleet, folder: Path) -> int:
    plan, weights = (path.read_bytes() for path in model(folder).values())
    row = await add_plan(fleet.database, "eog", plan, weights, "me")
    assert (await add_plan(fleet.database, "eog", plan, weights, "you"))["id"] == row["id"]
    number = await fleet.desk.create("lab", "all", NAMES, row, None, SETTINGS, "me")
    await fleet.desk.look(number)
    return number


async def test_before_and_after_are_counted_to_the_window_and_a_fall_returns_the_canary(
    fleet: Fleet, tmp_path: Path
) -> None:
    number = await begin(fleet, tmp_path)
    canary = next(name for name, state in (await fleet.states(number)).items() if state == "asked")
    await fleet.answer(canary, ReplyStatus.ACCEPTED)
    await fleet.desk.look(number)
    assert (await fleet.states(number))[canary] == "asked"
    await fleet.answer(canary, ReplyStatus.DONE)
    await fleet.desk.look(number)
    assert (await fleet.states(number))[canary] == "running"

    # Twenty seconds later; what came within ten of the change counts for nobody.
    await fleet.time_passes(number, 20)
    sent = {}
    for name in NAMES:
        await fleet.say(name, fleet.stories[name].days(1, accuracy=0.0, frozen=0.9), -15)
        rows = list(fleet.stories[name].days(15, accuracy=0.4 if name == canary else 0.9, frozen=0.9))
        sent[name] = sum(getattr(one.message, "correct", 0) for one in rows)
        await fleet.say(name, rows, -1)
    row = await rollout_by_id(fleet.database, number)
    assert row is not None
    ours, others = await fleet.database.in_writer_thread(
        lambda connection: evidence(connection, row, before_s=3600, settle_s=10, now=utc_now())
    )
    assert set(ours) == {canary}
    assert set(others) == set(NAMES) - {canary}
    for name, pair in {**ours, **others}.items():
        assert (pair.before.labelled, pair.after.labelled) == (300, 150), name
        assert pair.after.correct == sent[name]
        assert pair.before.blocks in (15, 16)
        assert pair.after.correct**2 / 150 <= pair.after.squares <= pair.after.correct + 1e-9

    await fleet.desk.look(number)
    assert (await fleet.states(number))[canary] == "returning"
    assert len(fleet.alerts) == 1
    assert fleet.alerts[0].alert.device == canary
    await fleet.answer(canary, ReplyStatus.DONE)
    await fleet.desk.look(number)
    await fleet.desk.look(number)
    ended = await rollout_by_id(fleet.database, number)
    assert ended is not None
    assert ended["state"] == "stopped"
    assert (await fleet.states(number))[canary] == "returned"


async def test_a_good_plan_goes_on_and_what_was_not_sent_is_kept_for_the_next_look(
    fleet: Fleet, tmp_path: Path
) -> None:
    number = await begin(fleet, tmp_path)
    canary = next(name for name, state in (await fleet.states(number)).items() if state == "asked")
    async with fleet.database.read() as connection:
        status = (await connection.execute(select(commands.c.status))).scalars().all()
        wish = (await connection.execute(select(desired.c.payload).where(desired.c.device == canary))).scalar_one()
    assert status == ["not_sent"], "there is no broker"
    assert Desired.model_validate_json(wish).plan is not None
    await fleet.answer(canary, ReplyStatus.DONE)
    await fleet.desk.look(number)
    await fleet.time_passes(number, 20)
    for name in NAMES:
        await fleet.say(name, fleet.stories[name].days(15, accuracy=0.97, frozen=0.9), -1)
    await fleet.desk.look(number)
    states = await fleet.states(number)
    assert states.pop(canary) == "running"
    assert set(states.values()) == {"asked"}
    # One of them cannot take it: more than the tenth that may fail.
    failing = min(states)
    await fleet.answer(failing, ReplyStatus.FAILED)
    await fleet.desk.look(number)
    row = await rollout_by_id(fleet.database, number)
    assert row is not None
    assert row["state"] == "returning"
    assert "could not take the plan" in row["reason"]
    assert (await fleet.states(number))[failing] == "failed"
    # Settings that an operator changes meanwhile leave the wish alone.
    document = await set_desired(fleet.database, "lab", canary, Desired.model_validate_json(wish).settings)
    assert document.plan is not None
    assert document.plan.back


async def test_nobody_is_asked_while_it_is_paused_and_a_person_may_go_on_or_stop(fleet: Fleet, tmp_path: Path) -> None:
    number = await begin(fleet, tmp_path)
    assert await fleet.desk.act(number, "pause", "me")
    assert await fleet.desk.act(number, "advance", "me")
    await fleet.desk.look(number)
    assert sorted((await fleet.states(number)).values()) == ["asked", "waiting", "waiting", "waiting"]
    assert await fleet.desk.act(number, "resume", "me")
    await fleet.desk.look(number)
    assert sorted((await fleet.states(number)).values()) == ["asked"] * 4
    assert await fleet.desk.act(number, "stop", "me")
    assert sorted((await fleet.states(number)).values()) == ["returning"] * 4
    assert not await fleet.desk.act(number, "resume", "me")


async def test_a_fleet_with_keys_needs_a_signed_way_back(fleet: Fleet, tmp_path: Path) -> None:
    plan, weights = (path.read_bytes() for path in model(tmp_path).values())
    key = Ed25519PrivateKey.generate()
    handed = {
        name: await add_plan(fleet.database, name, file, weights, "me")
        for name, file in {
            "unsigned": plan,
            "home-old": sign_plan(plan, key, number=10),
            "home-new": sign_plan(plan, key, number=21),
        }.items()
    }
    new = sign_plan(renamed(plan, "eog-new"), key, number=20)
    handed["new"] = await add_plan(fleet.database, "new", new, None, "me")
    await check_way_back(fleet.database, "lab", NAMES, handed["unsigned"], None)  # nobody has keys: all is well
    story = fleet.stories[NAMES[1]]
    said = story.health().message.model_copy(update={"seq": 10_000})
    assert isinstance(said, Health)
    trusting = said.model_copy(update={"wearable": said.wearable.model_copy(update={"trust": "signed"})})
    await fleet.say(NAMES[1], [publish_form(trusting)], 0)
    with pytest.raises(UserError, match="is not signed, and device 'band-1' would refuse it"):
        await check_way_back(fleet.database, "lab", NAMES, handed["unsigned"], None)
    for home in (None, handed["home-old"], handed["unsigned"]):
        with pytest.raises(UserError, match="anew with a number above 20"):
            await check_way_back(fleet.database, "lab", NAMES, handed["new"], home)
    await check_way_back(fleet.database, "lab", NAMES, handed["new"], handed["home-new"])
    others = [name for name in NAMES if name != NAMES[1]]
    await check_way_back(fleet.database, "lab", others, handed["new"], None)
