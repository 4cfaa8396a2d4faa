"""All that was ever stored of one device is removed, on the disk too; the audit log alone says that it was there."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from schemas.topics import PREFIX
from service.store.database import Database
from service.store.tables import boots, devices, gaps, messages, quarantine, telemetry_hours
from service.store.tables_operations import alerts, commands, desired

_OF_A_DEVICE = (telemetry_hours, gaps, boots, alerts, commands, desired, devices)
"""What belongs to a message or an alert goes with it (ON DELETE CASCADE)."""


async def erase_device(database: Database, site: str, device: str) -> int:
    """Whole or not at all; how many messages that were.

    SQLite overwrites what is deleted (secure_delete) and empties its write-ahead log; PostgreSQL's vacuum gives the
    rows' space back in its own time, and its backups are the operator's.
    """

    def work(connection: Connection) -> int:
        if not database.is_shared:
            connection.exec_driver_sql("PRAGMA secure_delete=ON")
        of = (messages.c.site == site, messages.c.device == device)
        count = connection.execute(select(func.count()).select_from(messages).where(*of)).scalar_one()
        connection.execute(delete(messages).where(*of))
        for table in _OF_A_DEVICE:
            connection.execute(delete(table).where(table.c.site == site, table.c.device == device))
        own = f"{PREFIX}/{site}/{device}/"
        connection.execute(delete(quarantine).where(func.substr(quarantine.c.topic, 1, len(own)) == own))
        return int(count)

    erased = await database.in_writer_thread(work)
    if not database.is_shared:
        await database.in_writer_thread(_empty_the_log)
    return erased


def _empty_the_log(connection: Connection) -> None:
    """Readers of old pages may hold it; then it is emptied by a later checkpoint."""
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.exec_driver_sql("PRAGMA secure_delete=OFF")
