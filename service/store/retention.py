"""Old telemetry and heartbeats are removed; what is left of them are the sums by the hour. Events are kept for good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, delete, select, update

from schemas.topics import Kind
from service.store.database import Database
from service.store.tables import boots, messages

#: Removed in one transaction; messages come in between two of them.
_AT_ONCE = 2000
_THINNABLE = (Kind.TELEMETRY.value, Kind.HEALTH.value)


async def remove_older(database: Database, cutoff: datetime) -> int:
    """Rows that arrived before `cutoff`; how many that were."""
    query = (
        select(messages.c.id, messages.c.site, messages.c.device, messages.c.boot, messages.c.seq)
        .where(messages.c.kind.in_(_THINNABLE), messages.c.received < cutoff)
        .order_by(messages.c.id)
        .limit(_AT_ONCE)
    )
    removed = 0
    while True:
        async with database.read() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            break

        def work(connection: Connection, rows: object = rows) -> None:
            highest: dict[tuple[str, str, int], int] = {}
            for row in rows:  # type: ignore[attr-defined]
                key = (row.site, row.device, row.boot)
                highest[key] = max(highest.get(key, 0), row.seq)
            for (site, device, boot), seq in sorted(highest.items()):
                mine = (boots.c.site == site, boots.c.device == device, boots.c.boot == boot, boots.c.removed < seq)
                connection.execute(update(boots).where(*mine).values(removed=seq))
            ids = [row.id for row in rows]  # type: ignore[attr-defined]
            connection.execute(delete(messages).where(messages.c.id.in_(ids)))

        await database.in_writer_thread(work)
        removed += len(rows)
    async with database.write() as connection:
        # What such an old boot has not sent by now is given up, and counts as there.
        most = case((boots.c.newest > boots.c.last_seq, boots.c.newest), else_=boots.c.last_seq)
        await connection.execute(update(boots).where(boots.c.told < cutoff, boots.c.stored < most).values(stored=most))
    return removed
