"""Roll-outs in the database: who has the new plan, and how right the devices were before and after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, Float, RowMapping, and_, case, cast, func, or_, select

from service.rollout.comparison import BLOCK, Counts, Pair
from service.store.database import Database
from service.store.tables import messages, telemetry
from service.store.tables_operations import rollout_devices, rollouts

#: States of a roll-out that is still under way.
OPEN = ("running", "paused", "returning")


async def list_rollouts(
    database: Database, *, site: str | None = None, state: str | None = None, before: int | None = None, limit: int = 50
) -> Sequence[RowMapping]:
    """Newest first, those with an id below `before`."""
    query = select(rollouts).order_by(rollouts.c.id.desc()).limit(limit)
    for column, wanted in ((rollouts.c.site, site), (rollouts.c.state, state)):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(rollouts.c.id < before)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()


async def rollout_by_id(database: Database, number: int) -> RowMapping | None:
    """None when there is no such roll-out."""
    async with database.read() as connection:
        return (await connection.execute(select(rollouts).where(rollouts.c.id == number))).mappings().first()


async def devices_of(database: Database, number: int) -> Sequence[RowMapping]:
    """In the order in which they are asked."""
    mine = rollout_devices.c.rollout == number
    query = select(rollout_devices).where(mine).order_by(rollout_devices.c.stage, rollout_devices.c.device)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()


def evidence(
    connection: Connection, rollout: RowMapping, *, before_s: float, settle_s: float, now: datetime
) -> tuple[dict[str, Pair], dict[str, Pair]]:
    """Of devices with the new plan, and of those without it, by name.

    Those without are cut at the time at which the first one took it. Reports between asking and `counts_from` count for
    nobody: they may hold windows of both plans.
    """
    d, m, t = rollout_devices, messages, telemetry
    mine = d.c.rollout == rollout["id"]
    first = connection.execute(select(func.min(d.c.changed)).where(mine, d.c.state == "running")).scalar()
    if first is None:
        return {}, {}
    took, waits = d.c.state == "running", d.c.state == "waiting"
    half = case(
        (and_(took, m.c.received >= d.c.counts_from), "after"),
        (and_(took, m.c.received < d.c.asked), "before"),
        (and_(waits, m.c.received >= first + timedelta(seconds=settle_s)), "after"),
        (and_(waits, m.c.received < first), "before"),
        else_="neither",
    )
    rows = (
        select(d.c.device, d.c.state, m.c.id, half.label("half"), t.c.labelled, t.c.correct)
        .select_from(m.join(t, t.c.message_id == m.c.id).join(d, d.c.device == m.c.device))
        .where(
            mine,
            or_(took, waits),
            m.c.site == rollout["site"],
            m.c.kind == "telemetry",
            t.c.labelled > 0,
            m.c.received >= first - timedelta(seconds=before_s),
            m.c.received <= now,
        )
        .subquery()
    )
    one = (rows.c.device, rows.c.state, rows.c.half)
    so_far = func.sum(rows.c.labelled).over(partition_by=one, order_by=rows.c.id)
    cut = select(*one, rows.c.labelled, rows.c.correct, cast(so_far, BigInteger).label("so_far")).subquery()
    each = (cut.c.device, cut.c.state, cut.c.half)
    blocks = (
        select(*each, func.sum(cut.c.labelled).label("n"), func.sum(cut.c.correct).label("k"))
        .where(cut.c.half != "neither")
        .group_by(*each, cut.c.so_far // BLOCK)
        .subquery()
    )
    group = (blocks.c.device, blocks.c.state, blocks.c.half)
    squares = func.sum(cast(blocks.c.k, Float) * cast(blocks.c.k, Float) / cast(blocks.c.n, Float))
    sums = select(*group, func.sum(blocks.c.n), func.sum(blocks.c.k), func.count(), squares).group_by(*group)
    found: dict[str, dict[str, dict[str, Counts]]] = {"running": {}, "waiting": {}}
    for device, state, which, n, k, count, square in connection.execute(sums):
        found[state].setdefault(device, {})[which] = Counts(int(n), int(k), int(count), float(square))
    ours, others = (
        {name: Pair(sides.get("before", Counts()), sides.get("after", Counts())) for name, sides in group.items()}
        for group in (found["running"], found["waiting"])
    )
    return ours, others
