"""Who did what to which device."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, insert, select

from schemas.base import utc_now
from service.store.database import Database
from service.store.tables_operations import audit


async def note(
    database: Database,
    who: str,
    role: str,
    action: str,
    *,
    site: str | None = None,
    device: str | None = None,
    detail: str = "",
) -> None:
    """Kept for good: who, in what role, did what to which device."""
    row = {"time": utc_now(), "who": who[:100], "role": role, "action": action, "site": site, "device": device}
    async with database.write() as connection:
        await connection.execute(insert(audit).values({**row, "detail": detail.replace("\0", "?")}))


async def entries(
    database: Database, *, site: str | None, device: str | None, who: str | None, before: int | None, limit: int
) -> Sequence[RowMapping]:
    """Newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    for column, value in ((audit.c.site, site), (audit.c.device, device), (audit.c.who, who)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(audit.c.id < before)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()
