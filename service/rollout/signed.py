"""Devices that have keys refuse an older plan: the way back of a roll-out must be signed before it begins."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from schemas.errors import UserError
from schemas.plan import read_plan
from service.store.database import Database
from service.store.plans import file_of
from service.store.tables import devices

#: What a wearable says of its keys when it takes any plan, or its firmware knows none.
_TAKES_ANY = ("", "development")


async def check_way_back(
    database: Database, site: str, members: Sequence[str], plan: RowMapping, return_to: RowMapping | None
) -> None:
    """Raises UserError where a device of the fleet has keys, and the plan or its way back would be refused by it."""
    query = select(devices.c.device, devices.c.health).where(devices.c.site == site, devices.c.health.is_not(None))
    async with database.read() as connection:
        told = {row.device: json.loads(row.health) for row in await connection.execute(query)}
    with_keys = [name for name in members if told.get(name, {}).get("wearable", {}).get("trust", "") not in _TAKES_ANY]
    if not with_keys:
        return
    number = await _number(database, plan)
    if number is None:
        raise UserError(
            f"plan {plan['name']!r} is not signed, and device {with_keys[0]!r} would refuse it: biotrain sign"
        )
    home = None if return_to is None else await _number(database, return_to)
    if home is None or home <= number:
        raise UserError(
            f"device {with_keys[0]!r} refuses a plan that is older than the one that runs: sign the plan to return to "
            f"anew with a number above {number} (biotrain sign), hand it in, and name it as return_to"
        )


async def _number(database: Database, plan: RowMapping) -> int | None:
    file = await file_of(database, plan["plan"])
    signature = None if file is None else read_plan(file).signature
    return None if signature is None else signature.number
