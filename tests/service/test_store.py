"""The database alone: migrations with data, the same answers from SQLite and PostgreSQL, merging over batches."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from messaging import Delivery
from schemas.alert import AlertRule, AlertState
from schemas.errors import UserError
from schemas.fault import FaultKind
from schemas.state import DeviceState, State
from schemas.telemetry import Telemetry
from schemas.topics import Kind
from service.gauges import read_gauges
from service.key_watch import look_for_missing_keys
from service.parse import parse_delivery
from service.store.alert_rows import Channels, change_by_hand
from service.store.alerts import list_alerts
from service.store.batch import AlertChange, Arrived, Batch, Written
from service.store.database import Database
from service.store.overview import fleet, gaps, totals
from service.store.sessions import sessions
from service.store.tables import metadata
from service.store.writer import write_batch
from tests.postgres import Postgres
from tests.service.story import Published, Story

OLD = Path(__file__).parent / "data" / "store_v1.sql"
_ALL = {name: "SELECT * FROM " + name + " ORDER BY 1" for name in ("telemetry", "faults")}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'new.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create(f"t{uuid4().hex[:12]}")
    async with Database(url) as opened:
        yield opened


def arrived(published: Published, at: datetime = NOW, *, retained: bool = False) -> Arrived:
    delivery = Delivery(published.topic, published.payload, qos=1, retained=retained, acknowledge=lambda: True)
    parsed = parse_delivery(delivery, at)
    assert isinstance(parsed, Arrived)
    return parsed


async def store(database: Database, *batch: Arrived, channels: Channels = Channels()) -> Written:
    return await database.in_writer_thread(partial(write_batch, batch=Batch(batch), channels=channels))


async def test_a_new_database_has_exactly_the_tables_of_the_code(database: Database) -> None:
    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.in_writer_thread(differences) == []


async def test_a_database_of_the_first_version_moves_forward_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript(OLD.read_text())
        before = old.execute("SELECT site, device, boot, seq, payload FROM messages ORDER BY id").fetchall()
        kept = {name: old.execute(_ALL[name]).fetchall() for name in _ALL}
    old.close()
    assert len(before) > 20
    for _ in range(2):  # the second time there is nothing to do
        async with Database(f"sqlite:///{path}") as database:
            counted = await totals(database)
            assert (counted.stored, counted.quarantined, counted.devices) == (len(before), 1, 2)
            assert counted.missing == 2
            assert [gap.last - gap.first + 1 for gap in await gaps(database, "lab", "band-1")] == [2]
            alerts = await list_alerts(database, limit=10)
            assert [row["rule"] for row in alerts] == ["adaptation_rolled_back", "sensor_fault", "drift"]
            assert {row["state"] for row in alerts} == {"resolved"}
            async with database.read() as connection:
                runs = (
                    await connection.execute(
                        text("SELECT alert, status FROM deliveries WHERE channel = 'my_hooks:note' ORDER BY alert")
                    )
                ).all()
                hours = (await connection.execute(text("SELECT sum(windows), sum(rows) FROM telemetry_hours"))).one()
            assert [tuple(row) for row in runs] == [(1, "done"), (2, "pending"), (3, "pending")]
            assert tuple(hours) == (sum(row[3] for row in kept["telemetry"]), len(kept["telemetry"]))
            # What the old one counted goes on: the next message of the same boot is counted on top.
            row = (await fleet(database, "lab", "band-2"))[0]
            assert (row["boot"], row["connected"]) == (3, True)

            def differences(connection: Connection) -> object:
                return compare_metadata(MigrationContext.configure(connection), metadata)

            assert await database.in_writer_thread(differences) == []
    with sqlite3.connect(path) as new:
        assert new.execute("SELECT site, device, boot, seq, payload FROM messages ORDER BY id").fetchall() == before
        assert {name: new.execute(_ALL[name]).fetchall() for name in kept} == kept
    new.close()


async def test_a_database_of_a_later_version_is_refused_and_left_alone(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database._close()
    with pytest.raises(UserError, match=r"later version of biotrain .tables of revision 9999"):
        async with Database(database.url):
            pass


async def test_what_is_stored_comes_back_and_a_repeated_message_changes_nothing(database: Database) -> None:
    story = list(Story().whole())
    messages = [arrived(one) for one in story]
    written = await store(database, *messages)
    assert [new.arrived.payload for new in written.messages] == [one.payload.decode() for one in story]
    again = await store(database, *messages)
    assert (again.messages, again.duplicates, again.alerts, again.quarantined) == ([], len(story), [], 0)
    counted = await totals(database)
    assert (counted.stored, counted.missing) == (len(story), 0)
    async with database.read() as connection:
        evidence = (await connection.execute(text("SELECT evidence FROM drift_alerts"))).scalar_one()
        kept = (await connection.execute(text("SELECT time, received FROM messages ORDER BY id LIMIT 1"))).one()
        windows = (await connection.execute(text("SELECT sum(windows) FROM telemetry_hours"))).scalar_one()
    evidence = json.loads(evidence) if isinstance(evidence, str) else evidence
    assert evidence[0]["detector"] == "page-hinkley"
    assert str(kept[1]).startswith("2026-03-02 1")
    assert windows == sum(getattr(one.message, "windows", 0) for one in story)


async def test_the_largest_numbers_that_a_device_may_give_are_kept(database: Database) -> None:
    huge = Story(boot=2**62)
    huge.skip(2**61)
    await store(database, arrived(huge.telemetry(0.9, 0.9)), arrived(huge.health()))
    row = (await fleet(database))[0]
    assert row["boot"] == 2**62
    assert (await gaps(database, "lab", "band-1"))[0].last == 2**61


async def test_a_device_is_folded_over_batches_in_any_order(database: Database) -> None:
    first, second = Story(boot=1), Story(boot=2)
    old, new = first.state(DeviceState.STARTING), first.state(DeviceState.ADAPTING)
    will = State(site="lab", device="band-1", boot=1, seq=0, state=DeviceState.OFFLINE)
    gone = Arrived(will, Kind.STATE, will.to_json().decode(), NOW, retained=True)

    async def row() -> tuple[bool, str, int]:
        found = (await fleet(database, "lab", "band-1"))[0]
        return bool(found["connected"]), json.loads(found["state"])["state"], found["boot"]

    await store(database, arrived(new))
    await store(database, arrived(old))
    assert await row() == (True, "adapting", 1), "an old state that comes late does not become the newest"
    await store(database, gone)
    assert await row() == (False, "adapting", 1)
    await store(database, arrived(first.telemetry(0.9, 0.9), retained=True))
    assert (await row())[0] is False, "what the broker had kept is no sign of life"
    later = NOW + timedelta(seconds=9)
    await store(database, arrived(second.state(DeviceState.STARTING), later))
    await store(database, gone)
    assert await row() == (True, "starting", 2), "the will of an earlier boot changes nothing"
    await store(database, arrived(first.state(DeviceState.ONLINE), NOW))
    assert await row() == (True, "starting", 2)
    assert (await fleet(database))[0]["last_seen"] == later


async def test_a_number_that_comes_again_with_other_content_is_kept_in_the_quarantine(database: Database) -> None:
    one, other = Story(seed=1).telemetry(0.9, 0.9), Story(seed=1).telemetry(0.1, 0.1)
    await store(database, arrived(one))
    written = await store(database, arrived(other))
    assert (written.conflicts, written.quarantined, written.messages) == (1, 1, [])
    async with database.read() as connection:
        payload, reason = (await connection.execute(text("SELECT payload, reason FROM quarantine"))).one()
    assert bytes(payload) == other.payload
    assert "given out twice" in reason


async def states(database: Database) -> list[tuple[str, str, int]]:
    return [(row["rule"], row["state"], row["count"]) for row in await list_alerts(database, limit=20)]


async def test_an_alert_is_counted_while_it_is_open_and_resolved_by_what_ends_it(database: Database) -> None:
    story = Story()
    channels = Channels(("m:hook",), ("http://x/",))
    raised = await store(database, arrived(story.fault(active=True)), channels=channels)
    assert [change.alert.state for change in raised.alerts] == [AlertState.OPEN]
    more = await store(database, arrived(story.fault(active=True)), channels=channels)
    assert more.alerts == []
    assert await states(database) == [("sensor_fault", "open", 2)]
    passed = await store(database, arrived(story.fault(active=False)), channels=channels)
    assert [change.alert.state for change in passed.alerts] == [AlertState.RESOLVED]
    again = await store(database, arrived(story.fault(active=True), NOW + timedelta(seconds=30)), channels=channels)
    assert again.alerts == [], "within the hold-off nobody is told again"
    assert await states(database) == [("sensor_fault", "open", 3)]
    await store(database, arrived(story.fault(active=False), NOW + timedelta(seconds=31)), channels=channels)
    late = await store(database, arrived(story.fault(active=True), NOW + timedelta(seconds=200)), channels=channels)
    assert len(late.alerts) == 1
    async with database.read() as connection:
        told = (await connection.execute(text("SELECT transition, channel FROM deliveries WHERE alert = 1"))).all()
    assert sorted(map(tuple, told)) == [
        ("opened", "http://x/"), ("opened", "m:hook"), ("opened", "mqtt"),
        ("resolved", "http://x/"), ("resolved", "http://x/"), ("resolved", "mqtt"), ("resolved", "mqtt"),
    ]  # fmt: skip


async def test_a_low_battery_is_one_alert_until_it_is_charged(database: Database) -> None:
    story = Story()
    raised = await store(database, arrived(story.health(battery=0.14)))
    assert [change.alert.message for change in raised.alerts] == ["The wearable's battery is at 14%"]
    for charge in (0.15, 0.2, 0.14, 0.24):
        await store(database, arrived(story.health(battery=charge)))
    assert await states(database) == [("low_battery", "open", 2)], "between the two limits nothing changes"
    charged = await store(database, arrived(story.health(battery=0.25)))
    assert [change.alert.state for change in charged.alerts] == [AlertState.RESOLVED]


async def test_refusals_are_an_alert_when_they_rise_and_a_persons_word_holds_until_then(database: Database) -> None:
    story = Story()
    assert not (await store(database, arrived(story.health(trust="signed")))).alerts
    raised = await store(database, arrived(story.health(trust="signed", plans_refused=1)))
    assert [change.alert.message for change in raised.alerts] == ["Not trusted and refused since its boot: plans 1"]
    for _ in range(2):
        assert not (await store(database, arrived(story.health(trust="signed", plans_refused=1)))).alerts

    def settle(connection: Connection) -> object:
        return change_by_hand(connection, raised.alerts[0].id, AlertState.RESOLVED, Channels(), NOW, by="Ada")

    await database.in_writer_thread(settle)
    assert not (await store(database, arrived(story.health(trust="signed", plans_refused=1)))).alerts
    more = await store(database, arrived(story.health(trust="signed", plans_refused=1, banks_refused=2)))
    assert [change.alert.rule for change in more.alerts] == [AlertRule.TRUST_REFUSED]
    assert await states(database) == [("trust_refused", "open", 1), ("trust_refused", "resolved", 3)]


async def test_sessions_are_starts_of_the_agent_by_wearer_newest_first(database: Database) -> None:
    lives = [Story(boot=1), Story(boot=2, wearer="U2"), Story(boot=2, wearer="U3", seed=8), Story(device="other")]
    for number, story in enumerate(lives):
        story._seq = 1000 * number
        await store(database, *map(arrived, story.days(3 + number, accuracy=0.9, frozen=0.9)))
    rows = await sessions(database, "lab", "band-1", before=None, limit=20)
    assert [(row["boot"], row["wearer"]) for row in rows] == [(2, "U2"), (2, "U3"), (1, "U1")]
    for row, story in zip(rows, (lives[1], lives[2], lives[0]), strict=True):
        told = [one.message for one in Story(boot=row["boot"], seed=8 if row["wearer"] == "U3" else 7).days(
            3 + lives.index(story), accuracy=0.9, frozen=0.9)]  # fmt: skip
        telemetry = [one for one in told if isinstance(one, Telemetry)]
        assert row["messages"] == len(told)
        for name in ("windows", "windows_dropped", "labelled", "correct"):
            assert row[name] == sum(getattr(one, name) for one in telemetry)
        assert row["began"] <= row["ended"]
        assert row["began"].tzinfo is not None
    assert [row["boot"] for row in await sessions(database, "lab", "band-1", before=2, limit=20)] == [1]
    assert {row["boot"] for row in await sessions(database, "lab", "band-1", before=None, limit=1)} == {2}


async def test_what_devices_refuse_is_summed_for_prometheus(database: Database) -> None:
    for name, refused in (("one", 2), ("two", 3)):
        counts = {f"{what}_refused": refused for what in ("plans", "weights", "keys", "banks")}
        told = Story(device=name).health(trust="development", frames_corrupt=refused, **counts)
        await store(database, arrived(told))
    async with database.read() as connection:
        gauges = await read_gauges(connection)
    for what in ("plans", "weights", "keys", "banks"):
        assert gauges[f"{what}_refused"][1] == 5
    assert (gauges["link_frames_corrupt"][1], gauges["devices_without_keys"][1], gauges["alerts_open"][1]) == (5, 2, 2)


async def test_a_device_without_keys_is_an_alert_where_others_have_some(database: Database) -> None:
    def look(connection: Connection) -> list[AlertChange]:
        return look_for_missing_keys(connection, Channels(), lambda: NOW)

    bare, other = Story(device="bare"), Story(device="other")
    await store(database, arrived(bare.health(trust="development")))
    assert await database.in_writer_thread(look) == [], "nobody at this site uses keys"
    await store(database, arrived(other.health(trust="signed")))
    (change,) = await database.in_writer_thread(look)
    assert (change.alert.device, change.alert.rule) == ("bare", AlertRule.KEYS_MISSING)
    assert await database.in_writer_thread(look) == []
    given = await store(database, arrived(bare.health(trust="signed")))
    assert [one.alert.state for one in given.alerts] == [AlertState.RESOLVED]
    lost = await store(database, arrived(bare.health(trust="lost", battery=0.1)))
    assert {one.alert.rule for one in lost.alerts} == {AlertRule.KEYS_LOST, AlertRule.LOW_BATTERY}


async def test_a_fault_whose_end_came_first_does_not_stay_open(database: Database) -> None:
    story = Story()
    begin, end = story.fault(active=True), story.fault(active=False)
    await store(database, arrived(end))
    await store(database, arrived(begin))
    assert await states(database) == [("sensor_fault", "resolved", 1)]
    assert FaultKind.FLAT_LINE in (await list_alerts(database, limit=1))[0]["subject"]


async def test_a_commit_resolves_drift_and_rollbacks_and_a_person_can_do_so_once(database: Database) -> None:
    story = Story()
    first = await store(database, arrived(story.drift()), *map(arrived, story.adapt(committed=False)))
    assert len(first.alerts) == 2

    def by(state: AlertState, alert: int, connection: Connection) -> AlertChange | str:
        return change_by_hand(connection, alert, state, Channels(), NOW, by="Ada")

    done = await database.in_writer_thread(partial(by, AlertState.ACKNOWLEDGED, first.alerts[0].id))
    assert isinstance(done, AlertChange)
    assert done.alert.state is AlertState.ACKNOWLEDGED
    refused = await database.in_writer_thread(partial(by, AlertState.ACKNOWLEDGED, first.alerts[0].id))
    assert refused == "it was acknowledged already, by Ada"
    with pytest.raises(KeyError):
        await database.in_writer_thread(partial(by, AlertState.RESOLVED, 99))
    await store(database, *map(arrived, story.adapt(committed=True)))
    assert {state for _, state, _ in await states(database)} == {"resolved"}


async def test_two_supervisors_that_write_the_same_messages_at_once_store_each_once(postgres: Postgres) -> None:
    url = postgres.create(f"t{uuid4().hex[:12]}")
    devices = [list(Story(device=f"d{number}", seed=number).whole()) for number in range(6)]
    mixed = [arrived(one) for step in zip(*devices, strict=True) for one in step]
    async with Database(url) as one, Database(url) as two:
        parts = [mixed[start : start + 90] for start in range(0, len(mixed), 60)]  # neighbours overlap

        async def write(database: Database, order: list[list[Arrived]]) -> None:
            for part in order:
                for _ in range(20):
                    try:
                        await store(database, *part)
                        break
                    except Exception as error:
                        assert "deadlock" in str(error)

        await asyncio.gather(write(one, parts), write(two, parts[::-1]))
        counted = await totals(one)
        assert (counted.stored, counted.missing, counted.quarantined) == (len(mixed), 0, 0)
        async with one.read() as connection:
            rows = (await connection.execute(text("SELECT count(*) FROM messages"))).scalar_one()
            hours = (await connection.execute(text("SELECT sum(rows) FROM telemetry_hours"))).scalar_one()
            noun = (await connection.execute(text("SELECT count(*) FROM telemetry"))).scalar_one()
        assert rows == len(mixed)
        assert hours == noun
