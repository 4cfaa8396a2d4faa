"""A device's sessions, as far as a supervisor can know them: from each start of its agent on, by wearer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, select

from schemas.topics import Kind
from service.store.database import Database
from service.store.tables import boots, messages, telemetry


async def sessions(
    database: Database, site: str, device: str, *, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """Newest start first. `limit` counts starts: one has a row for each person who wore the device."""
    page = select(boots.c.boot).where(boots.c.site == site, boots.c.device == device)
    if before is not None:
        page = page.where(boots.c.boot < before)
    kind = messages.c.kind
    query = (
        select(
            messages.c.boot,
            messages.c.wearer,
            func.min(messages.c.time).label("began"),
            func.max(messages.c.time).label("ended"),
            func.count().label("messages"),
            *(
                func.coalesce(func.sum(telemetry.c[name]), 0).label(name)
                for name in ("windows", "windows_dropped", "labelled", "correct")
            ),
            func.count().filter(kind == Kind.DRIFT.value).label("drift_alerts"),
        )
        .join(telemetry, telemetry.c.message_id == messages.c.id, isouter=True)
        .where(messages.c.site == site, messages.c.device == device, messages.c.seq > 0)
        .where(messages.c.boot.in_(page.order_by(boots.c.boot.desc()).limit(limit)))
        .group_by(messages.c.boot, messages.c.wearer)
        .order_by(messages.c.boot.desc(), func.min(messages.c.id))
    )
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()
