"""A device's messages of one kind, in the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, Table, select

from schemas.topics import Kind
from service.store.database import Database
from service.store.tables import adaptations, drift_alerts, faults, messages, telemetry

#: Kinds whose rows can be cut by window number: table, first and last window of a row.
_WINDOWS: dict[Kind, tuple[Table, ColumnElement[int], ColumnElement[int]]] = {
    Kind.TELEMETRY: (telemetry, telemetry.c.first_window, telemetry.c.last_window),
    Kind.DRIFT: (drift_alerts, drift_alerts.c.window, drift_alerts.c.window),
    Kind.ADAPTATION: (adaptations, adaptations.c.window, adaptations.c.window),
    Kind.FAULT: (faults, faults.c.window, faults.c.window),
}


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a series; None does not limit."""

    after: int = 0
    since: datetime | None = None
    until: datetime | None = None
    from_window: int | None = None
    to_window: int | None = None
    wearer: str | None = None
    boot: int | None = None
    limit: int = 500
    #: The newest `limit` rows instead of the oldest; still given oldest first.
    newest: bool = False


StoredRow = Row[tuple[int, str, str, str, datetime, str]]


async def device_series(
    database: Database, site: str, device: str, kinds: Sequence[Kind], cut: Cut
) -> Sequence[StoredRow]:
    """Rows of id, site, device, kind, received, payload."""
    query = _columns().where(messages.c.site == site, messages.c.device == device)
    query = query.where(messages.c.kind.in_([kind.value for kind in kinds]), messages.c.id > cut.after)
    if cut.since is not None:
        query = query.where(messages.c.time >= cut.since)
    if cut.until is not None:
        query = query.where(messages.c.time < cut.until)
    if cut.wearer is not None:
        query = query.where(messages.c.wearer == cut.wearer)
    if cut.boot is not None:
        query = query.where(messages.c.boot == cut.boot)
    if len(kinds) == 1 and kinds[0] in _WINDOWS and (cut.from_window is not None or cut.to_window is not None):
        table, first, last = _WINDOWS[kinds[0]]
        query = query.join(table, table.c.message_id == messages.c.id)
        if cut.from_window is not None:
            query = query.where(last >= cut.from_window)
        if cut.to_window is not None:
            query = query.where(first <= cut.to_window)
    order = messages.c.id.desc() if cut.newest else messages.c.id
    async with database.read() as connection:
        rows = (await connection.execute(query.order_by(order).limit(cut.limit))).all()
    return rows[::-1] if cut.newest else rows


async def all_after(
    database: Database, after: int, *, site: str | None, device: str | None, limit: int
) -> Sequence[StoredRow]:
    """What has been stored since row `after`, for a reader that was away."""
    query = _columns().where(messages.c.id > after)
    if site is not None:
        query = query.where(messages.c.site == site)
    if device is not None:
        query = query.where(messages.c.device == device)
    async with database.read() as connection:
        return (await connection.execute(query.order_by(messages.c.id).limit(limit))).all()


def _columns() -> Select[tuple[int, str, str, str, datetime, str]]:
    return select(
        messages.c.id,
        messages.c.site,
        messages.c.device,
        messages.c.kind,
        messages.c.received,
        messages.c.payload,
    )
