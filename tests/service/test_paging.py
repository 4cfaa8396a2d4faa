"""Lists that grow with the fleet are read page by page, on both databases, and every row comes once."""

from __future__ import annotations

from pathlib import Path

from schemas.base import utc_now
from service.rollout.settings import RolloutSettings
from service.store.database import Database
from service.store.overview import fleet
from service.store.plans import add_plan, list_plans, plan_names
from service.store.rollouts import list_rollouts
from service.store.tables_operations import rollouts
from tests.agent.real import model
from tests.service.story import Story
from tests.service.test_store import arrived, database, store  # noqa: F401


async def test_devices_come_by_site_and_name(database: Database) -> None:  # noqa: F811
    # "a" < "a-b" and "site" < "site-2" where the names alone are compared, whatever stands behind them.
    known = [("site", "a"), ("site", "a-b"), ("site", "z"), ("site-2", "a"), ("site-2", "b")]
    for number, (site, device) in enumerate(known):
        story = Story(site, device, wearer=f"U{number % 2}")
        await store(database, *map(arrived, story.days(1, accuracy=0.9, frozen=0.9)))
    read: list[tuple[str, str]] = []
    while page := await fleet(database, after=read[-1] if read else None, limit=2):
        assert len(page) <= 2
        read += [(row["site"], row["device"]) for row in page]
    assert read == sorted(known) == known
    worn = await fleet(database, wearer="U1")
    assert [(row["site"], row["device"]) for row in worn] == known[1::2]
    assert [row["device"] for row in await fleet(database, "site-2", after=("site-2", "a"))] == ["b"]


async def test_plans_and_rollouts_come_newest_first(database: Database, tmp_path: Path) -> None:  # noqa: F811
    plan, weights = (path.read_bytes() for path in model(tmp_path).values())
    names = [f"eog-{number}" for number in range(5)]
    rows = [await add_plan(database, name, plan, weights, "me") for name in names]
    for number, row in enumerate(rows):
        values = {
            "site": "lab", "group_name": "all", "plan": row["id"], "state": "done" if number % 2 else "running",
            "stage": 0, "settings": RolloutSettings().model_dump_json(), "created": utc_now(), "created_by": "me",
            "changed": utc_now(), "stage_began": utc_now(), "reason": "",
        }  # fmt: skip
        async with database.write() as connection:
            await connection.execute(rollouts.insert().values(values))

    for ask in (list_plans, list_rollouts):
        read: list[int] = []
        while page := await ask(database, before=read[-1] if read else None, limit=2):
            assert len(page) <= 2
            read += [row["id"] for row in page]
        assert len(read) == 5
        assert read == sorted(read, reverse=True)

    assert [row["id"] for row in await list_plans(database, name="eog-3")] == [rows[3]["id"]]
    assert await list_plans(database, name="nobody's") == []
    assert [row["plan"] for row in await list_rollouts(database, state="done")] == [rows[3]["id"], rows[1]["id"]]
    assert await list_rollouts(database, site="elsewhere") == []
    assert await plan_names(database, {rows[0]["id"], 10**9}) == {rows[0]["id"]: "eog-0"}
