"""Commands in the database, from `created` to the device's last word."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, insert, select, update

from schemas.command import Command
from service.store.database import Database
from service.store.tables_operations import commands


async def record(database: Database, command: Command) -> None:
    row = {
        "site": command.site,
        "device": command.device,
        "command_id": command.command_id,
        "verb": command.verb.value,
        "time": command.time,
        "status": "created",
        "detail": "",
        "payload": command.to_json().decode(),
    }
    async with database.write() as connection:
        await connection.execute(insert(commands).values(row))


async def update_status(database: Database, command: Command, status: str, detail: str = "") -> None:
    """Only from `created`: the device's reply may have been quicker."""
    async with database.write() as connection:
        await connection.execute(
            update(commands)
            .where(
                commands.c.site == command.site,
                commands.c.device == command.device,
                commands.c.command_id == command.command_id,
                commands.c.status == "created",
            )
            .values(status=status, detail=detail[:500])
        )


async def newest(
    database: Database, site: str, device: str, *, limit: int, command_id: str | None = None
) -> Sequence[RowMapping]:
    query = select(commands).where(commands.c.site == site, commands.c.device == device)
    if command_id is not None:
        query = query.where(commands.c.command_id == command_id)
    async with database.read() as connection:
        return (await connection.execute(query.order_by(commands.c.id.desc()).limit(limit))).mappings().all()
