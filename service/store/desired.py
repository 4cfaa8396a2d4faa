"""What devices should be set to, and what they say that they are."""

from __future__ import annotations

import json

from sqlalchemy import Connection, RowMapping, insert, select, update

from schemas.base import utc_now
from schemas.desired import Desired, DeviceSettings, Reported
from schemas.plan_push import PlanWish
from schemas.topics import EVERY_DEVICE
from service.store.database import Database
from service.store.tables import devices
from service.store.tables_operations import desired


async def set_desired(database: Database, site: str, device: str, settings: DeviceSettings) -> Desired:
    """The next version; the plan that was wished for stays."""

    def work(connection: Connection) -> Desired:
        known = _known(connection, site, device)
        return _next(connection, site, device, settings, None if known is None else known.plan)

    return await database.in_writer_thread(work)


def wish_plan(connection: Connection, site: str, device: str, wish: PlanWish) -> Desired:
    """The next version, in the caller's transaction; settings stay."""
    known = _known(connection, site, device)
    return _next(connection, site, device, DeviceSettings() if known is None else known.settings, wish)


def _known(connection: Connection, site: str, device: str) -> Desired | None:
    query = select(desired.c.payload).where(desired.c.site == site, desired.c.device == device).with_for_update()
    payload = connection.execute(query).scalar()
    return Desired.model_validate_json(payload) if payload else None


def _next(connection: Connection, site: str, device: str, settings: DeviceSettings, plan: PlanWish | None) -> Desired:
    mine = (desired.c.site == site, desired.c.device == device)
    row = connection.execute(select(desired).where(*mine).with_for_update()).first()
    # What the device has reported counts too: a store that was lost must not begin below it.
    version = 1 if row is None else max(row.version, row.reported_version) + 1
    document = Desired(site=site, device=device, version=version, settings=settings, plan=plan)
    values = {"version": version, "payload": document.to_json().decode(), "time": document.time}
    if row is None:
        connection.execute(insert(desired).values(site=site, device=device, **values))
    else:
        connection.execute(update(desired).where(*mine).values(values))
    return document


async def members(database: Database, site: str, group: str) -> list[str]:
    """Devices that say they obey the group; of `all`, every device of the site."""
    if group == EVERY_DEVICE:
        query = select(devices.c.device).where(devices.c.site == site).order_by(devices.c.device)
        async with database.read() as connection:
            return list((await connection.execute(query)).scalars())
    told = select(desired.c.device, desired.c.reported).where(desired.c.site == site, desired.c.reported.is_not(None))
    async with database.read() as connection:
        rows = (await connection.execute(told.order_by(desired.c.device))).all()
    return [device for device, reported in rows if group in json.loads(reported).get("groups", ())]


async def desired_of(database: Database, site: str, device: str) -> RowMapping | None:
    """What a device was last wished to be; None before anybody wished."""
    query = select(desired).where(desired.c.site == site, desired.c.device == device)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().first()


def take_reported(connection: Connection, reported: Reported) -> None:
    """Keeps what a device says that it is, unless something newer is there."""
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
