"""What devices should be set to, and what they say that they are."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, insert, select, update

from schemas.base import utc_now
from schemas.desired import Desired, DeviceSettings, Reported
from service.store.database import Database
from service.store.tables_operations import desired


async def set_desired(database: Database, site: str, device: str, settings: DeviceSettings) -> Desired:
    """The next version."""

    def work(connection: Connection) -> Desired:
        mine = (desired.c.site == site, desired.c.device == device)
        row = connection.execute(select(desired).where(*mine).with_for_update()).first()
        # What the device has reported counts too: a store that was lost must not begin below it.
        version = 1 if row is None else max(row.version, row.reported_version) + 1
        document = Desired(site=site, device=device, version=version, settings=settings)
        values = {"version": version, "payload": document.to_json().decode(), "time": document.time}
        if row is None:
            connection.execute(insert(desired).values(site=site, device=device, **values))
        else:
            connection.execute(update(desired).where(*mine).values(values))
        return document

    return await database.in_writer_thread(work)


async def desired_of(database: Database, site: str, device: str) -> RowMapping | None:
    query = select(desired).where(desired.c.site == site, desired.c.device == device)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().first()


def take_reported(connection: Connection, reported: Reported) -> None:
    mine = (desired.c.site == reported.site, desired.c.device == reported.device)
    values = {
        "reported_version": reported.version,
        "reported": reported.to_json().decode(),
        "reported_time": reported.time,
    }
    known = connection.execute(
        update(desired).where(*mine, desired.c.reported_version <= reported.version).values(values)
    )
    if known.rowcount or connection.execute(select(desired.c.version).where(*mine)).first() is not None:
        return
    nothing = {"version": 0, "payload": "", "time": utc_now()}
    connection.execute(insert(desired).values(site=reported.site, device=reported.device, **nothing, **values))
