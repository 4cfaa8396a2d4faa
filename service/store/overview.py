"""The fleet as it is, what is kept, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, RowMapping, and_, case, func, select, tuple_

from service.store.database import Database
from service.store.tables import boots, devices, messages, quarantine
from service.store.tables_operations import alerts


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that a boot gave out and that are not in the store: on their way, or lost."""

    boot: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows in the database."""

    stored: int
    by_kind: dict[str, int]
    quarantined: int
    alerts: int
    devices: int
    missing: int


async def fleet(
    database: Database,
    site: str | None = None,
    device: str | None = None,
    *,
    wearer: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> Sequence[RowMapping]:
    """Devices in the order of site and name; `after` is the (site, device) that the last page ended with."""
    query = select(devices).order_by(devices.c.site, devices.c.device).limit(limit)
    if after is not None:
        query = query.where(tuple_(devices.c.site, devices.c.device) > after)
    if wearer is not None:
        query = query.where(devices.c.wearer == wearer)
    if site is not None:
        query = query.where(devices.c.site == site)
    if device is not None:
        query = query.where(devices.c.device == device)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()


async def stored_counts(database: Database, site: str | None = None) -> dict[tuple[str, str], int]:
    """Messages taken in from each device, last wills not counted."""
    query = select(boots.c.site, boots.c.device, func.sum(boots.c.stored))
    if site is not None:
        query = query.where(boots.c.site == site)
    async with database.read() as connection:
        rows = (await connection.execute(query.group_by(boots.c.site, boots.c.device))).all()
    return {(row[0], row[1]): int(row[2]) for row in rows}


def _same_boot() -> ColumnElement[bool]:
    same = (messages.c[name] == boots.c[name] for name in ("site", "device", "boot"))
    return and_(*same)


async def gaps(database: Database, site: str, device: str, limit: int = 500) -> list[Gap]:
    """Between what is there, and up to what each boot's heartbeat says it has counted."""
    before = func.lag(messages.c.seq, 1, boots.c.removed).over(partition_by=messages.c.boot, order_by=messages.c.seq)
    steps = (
        select(messages.c.boot, messages.c.seq, before.label("before"))
        .select_from(messages.join(boots, _same_boot()))
        .where(messages.c.site == site, messages.c.device == device, messages.c.seq > boots.c.removed)
        .subquery()
    )
    holes = select(steps.c.boot, steps.c.before + 1, steps.c.seq - 1).where(steps.c.seq > steps.c.before + 1)
    mine = (boots.c.site == site, boots.c.device == device, boots.c.last_seq > boots.c.newest)
    tails = select(boots.c.boot, boots.c.newest + 1, boots.c.last_seq).where(*mine)
    async with database.read() as connection:
        found = [*(await connection.execute(holes.limit(limit))), *(await connection.execute(tails.limit(limit)))]
    return sorted((Gap(*row) for row in found), key=lambda gap: (gap.boot, gap.first))[:limit]


async def totals(database: Database) -> Totals:
    """Of the whole store."""
    async with database.read() as connection:
        by_kind = {
            row[0]: row[1]
            for row in await connection.execute(
                select(messages.c.kind, func.count()).where(messages.c.seq > 0).group_by(messages.c.kind)
            )
        }
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (quarantine, alerts, devices)
        ]
        stored = func.coalesce(func.sum(boots.c.stored), 0)
        missing, there = (await connection.execute(select(_missing(), stored))).one()
    return Totals(int(there), by_kind, counts[0], counts[1], counts[2], int(missing))


def _missing() -> ColumnElement[int]:
    """Numbers given out, by whichever says more of heartbeat and newest message, less numbers taken in."""
    highest = case((boots.c.newest > boots.c.last_seq, boots.c.newest), else_=boots.c.last_seq)
    return func.coalesce(func.sum(highest - boots.c.stored), 0)


async def list_quarantine(database: Database, *, after: int, limit: int) -> Sequence[RowMapping]:
    """What could not be understood, newest first."""
    query = select(quarantine).where(quarantine.c.id > after).order_by(quarantine.c.id.desc()).limit(limit)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()
