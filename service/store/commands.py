"""Commands in the database, from `created` to the device's last word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, insert, select, update

from schemas.command import Command, GroupCommand
from service.store.database import Database
from service.store.tables_operations import commands


async def record(database: Database, command: Command | GroupCommand) -> None:
    """One to a group has an empty device; devices that answer get rows of their own."""
    row = {
        "site": command.site,
        "device": command.device if isinstance(command, Command) else "",
        "group_name": command.group if isinstance(command, GroupCommand) else None,
        "command_id": command.command_id,
        "verb": command.verb.value,
        "time": command.time,
        "status": "created",
        "detail": "",
        "payload": command.to_json().decode(),
    }
    async with database.write() as connection:
        await connection.execute(insert(commands).values(row))


async def update_status(
    database: Database, site: str, device: str, command_id: str, status: str, detail: str = ""
) -> None:
    """Only from `created`: the device's reply may have been quicker."""
    async with database.write() as connection:
        await connection.execute(
            update(commands)
            .where(
                commands.c.site == site,
                commands.c.device == device,
                commands.c.command_id == command_id,
                commands.c.status == "created",
            )
            .values(status=status, detail=detail[:500])
        )


async def newest(
    database: Database, site: str, device: str, *, limit: int, command_id: str | None = None, before: int | None = None
) -> Sequence[RowMapping]:
    """Commands to a device, newest first; one of them by its id."""
    query = select(commands).where(commands.c.site == site, commands.c.device == device)
    return await _read(database, query, limit, command_id, before)


async def newest_of_group(
    database: Database, site: str, group: str, *, limit: int, command_id: str | None = None, before: int | None = None
) -> Sequence[RowMapping]:
    """The group's own rows and those of the devices that have answered."""
    query = select(commands).where(commands.c.site == site, commands.c.group_name == group)
    return await _read(database, query, limit, command_id, before)


async def _read(
    database: Database, query: Select[Any], limit: int, command_id: str | None, before: int | None
) -> Sequence[RowMapping]:
    if command_id is not None:
        query = query.where(commands.c.command_id == command_id)
    if before is not None:
        query = query.where(commands.c.id < before)
    async with database.read() as connection:
        result = await connection.execute(query.order_by(commands.c.id.desc()).limit(limit))
        rows: Sequence[RowMapping] = result.mappings().all()
    return rows
