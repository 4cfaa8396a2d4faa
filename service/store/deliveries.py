"""Deliveries of alerts: which is next for a channel, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select, update

from schemas.alert import Alert, AlertState
from schemas.base import utc_now
from service.store.database import Database
from service.store.tables_operations import alerts, deliveries

_STATE = {
    "opened": AlertState.OPEN,
    "acknowledged": AlertState.ACKNOWLEDGED,
    "resolved": AlertState.RESOLVED,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One change of an alert, for one channel; `alert` is in the state that it had changed to."""

    id: int
    transition: str
    attempts: int
    alert: Alert


async def claim(database: Database, channel: str, lease_s: float) -> Delivery | None:
    """The oldest that is due. Until the lease ends no other supervisor takes it; a killed one's is taken up then."""

    def work(connection: Connection) -> Delivery | None:
        now = utc_now()
        query = (
            select(deliveries.c.id, deliveries.c.transition, deliveries.c.attempts, alerts.c.payload)
            .join(alerts, alerts.c.id == deliveries.c.alert)
            .where(deliveries.c.status == "pending", deliveries.c.channel == channel, deliveries.c.due <= now)
            .order_by(deliveries.c.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=deliveries)
        )
        row = connection.execute(query).first()
        if row is None:
            return None
        attempts = row.attempts + 1
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(attempts=attempts, due=now + timedelta(seconds=lease_s))
        )
        alert = Alert.model_validate_json(row.payload).model_copy(update={"state": _STATE[row.transition]})
        return Delivery(row.id, row.transition, attempts, alert)

    return await database.in_writer_thread(work)


async def next_due(database: Database, channel: str) -> datetime | None:
    """When something of a channel is next to be tried; None when nothing waits."""
    query = select(func.min(deliveries.c.due)).where(deliveries.c.status == "pending", deliveries.c.channel == channel)
    async with database.read() as connection:
        found: datetime | None = (await connection.execute(query)).scalar()
    return found


async def end(
    database: Database, delivery: int, status: str, duration_s: float | None = None, detail: str = ""
) -> None:
    """`done`, `failed`, `timed_out`, `skipped`, or `dead` after the last attempt."""
    values = {"status": status, "ended": utc_now(), "duration_s": duration_s, "detail": detail[:500]}
    async with database.write() as connection:
        await connection.execute(update(deliveries).where(deliveries.c.id == delivery).values(values))


async def try_later(database: Database, delivery: int, due: datetime, detail: str) -> None:
    """Not there yet: again when it is due."""
    async with database.write() as connection:
        await connection.execute(
            update(deliveries).where(deliveries.c.id == delivery).values(due=due, detail=detail[:500])
        )


async def release(database: Database, channel: str) -> None:
    """Where this supervisor is the only one: what a kill cut off is due at once."""
    async with database.write() as connection:
        await connection.execute(
            update(deliveries)
            .where(deliveries.c.status == "pending", deliveries.c.channel == channel, deliveries.c.attempts > 0)
            .where(deliveries.c.detail == "")
            .values(due=utc_now())
        )


async def list_deliveries(
    database: Database, status: str | None, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """Newest first."""
    query = select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
    if status is not None:
        query = query.where(deliveries.c.status == status)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()


async def revive(database: Database, delivery: int) -> bool:
    """A dead or failed one is tried again, from its first attempt."""
    async with database.write() as connection:
        result = await connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery, deliveries.c.status.in_(["dead", "failed", "timed_out", "skipped"]))
            .values(status="pending", attempts=0, due=utc_now(), ended=None, detail="")
        )
    return bool(result.rowcount)
