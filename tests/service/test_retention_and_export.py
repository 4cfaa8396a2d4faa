"""Old rows go and their sums stay; what is there goes out as CSV and Parquet with every row."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from schemas.errors import UserError
from service.export import NOUNS, export
from service.store.alert_rows import Channels
from service.store.batch import Batch
from service.store.database import Database
from service.store.gap_rows import look
from service.store.overview import gaps, totals
from service.store.retention import remove_older
from service.store.writer import write_batch
from tests.service.story import Story
from tests.service.test_store import NOW, arrived, database  # noqa: F401  the fixture of both databases


async def test_old_telemetry_goes_and_its_sums_and_every_event_stay(database: Database) -> None:  # noqa: F811
    story = list(Story().whole())
    missing = {7, 150}
    late = NOW + timedelta(days=3)
    messages = [arrived(one, late if one.message.seq > 100 else NOW) for one in story if one.message.seq not in missing]
    await database.in_writer_thread(partial(write_batch, batch=Batch(messages), channels=Channels()))
    before = await totals(database)
    removed = await remove_older(database, NOW + timedelta(days=1))
    assert removed > 60
    async with database.read() as connection:
        kinds = {
            row[0] for row in await connection.execute(text("SELECT DISTINCT kind FROM messages WHERE seq <= 100"))
        }
        hours = (await connection.execute(text("SELECT sum(windows) FROM telemetry_hours"))).scalar_one()
        left = (await connection.execute(text("SELECT count(*) FROM telemetry"))).scalar_one()
    assert kinds == {"state", "drift", "adaptation"}
    assert hours == sum(getattr(one.message, "windows", 0) for one in story if one.message.seq not in missing)
    assert left < hours
    assert (await totals(database)).stored == before.stored, "what was taken in stays counted"
    assert [(gap.first, gap.last) for gap in await gaps(database, "lab", "band-1")] == [(150, 150)]
    found = await look(database, None, late, timedelta(seconds=1))
    assert [key[3] for key in found.new] == [150], "what is gone on purpose is not asked for"
    assert await remove_older(database, NOW + timedelta(days=1)) == 0


@pytest.mark.parametrize("form", ["csv", "parquet"])
async def test_every_row_is_in_the_files(form: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'x.db'}"
    story = list(Story().whole())
    async with Database(store) as open_database:
        messages = [arrived(one) for one in story]
        await open_database.in_writer_thread(partial(write_batch, batch=Batch(messages), channels=Channels()))
        counts = export(store, tmp_path / "out", form, list(NOUNS), since=None, progress=lambda rows: None)
    assert sum(count for name, count in counts.items() if name != "telemetry_hours") == len(story)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.{form}" for name in NOUNS)
    if form == "csv":
        with (tmp_path / "out" / "drift.csv").open() as file:
            rows = list(csv.DictReader(file))
        evidence = json.loads(rows[0]["evidence"])
    else:
        table = pq.read_table(tmp_path / "out" / "drift.parquet").to_pylist()
        assert table[0]["time"].tzinfo is not None
        assert table[0]["received"] == NOW
        evidence = json.loads(table[0]["evidence"])
        windows = sum(pq.read_table(tmp_path / "out" / "telemetry.parquet")["windows"].to_pylist())
        assert windows == sum(getattr(one.message, "windows", 0) for one in story)
    assert evidence[0]["detector"] == "page-hinkley"
    later = export(
        store, tmp_path / "none", form, ["telemetry"], since=datetime(2030, 1, 1, tzinfo=UTC), progress=print
    )
    assert later == {"telemetry": 0}


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        export(f"sqlite:///{tmp_path / 'none.db'}", tmp_path, "csv", ["drift"], since=None, progress=print)
