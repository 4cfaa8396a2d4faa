"""What the database says of the fleet, for Prometheus: state, and what devices have refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.command import ReplyStatus
from service.store.rollouts import OPEN
from service.store.tables import devices
from service.store.tables_operations import alerts, commands, rollouts

#: Name, without `biotrain_`, to what it means and its value.
Gauges = Mapping[str, tuple[str, float]]


async def read_gauges(connection: AsyncConnection) -> Gauges:
    """Prometheus' gauges that come from the database: name, help text and value."""
    by_state = await _counts(connection, select(alerts.c.state, func.count()).group_by(alerts.c.state))
    by_status = await _counts(connection, select(commands.c.status, func.count()).group_by(commands.c.status))
    known, connected = (
        await connection.execute(select(func.count(), func.count().filter(devices.c.connected)).select_from(devices))
    ).one()
    under_way = (
        await connection.execute(select(func.count()).select_from(rollouts).where(rollouts.c.state.in_(OPEN)))
    ).scalar_one()
    told = [json.loads(row[0]) for row in await connection.execute(select(devices.c.health)) if row[0]]
    wearables = [health.get("wearable", {}) for health in told]
    refused = {
        f"{what}_refused": (
            f"{what.capitalize()} that devices did not trust, as they last told",
            sum(wearable.get(f"{what}_refused", 0) for wearable in wearables),
        )
        for what in ("plans", "weights", "keys", "banks")
    }
    return {
        **refused,
        "link_frames_corrupt": (
            "Damaged frames on the links of wearables since their boot, as they last told",
            sum(wearable.get("frames_corrupt", 0) for wearable in wearables),
        ),
        "devices_without_keys": (
            "Devices in development mode: they take any plan",
            sum(wearable.get("trust") == "development" for wearable in wearables),
        ),
        "commands_refused": ("Commands that devices have refused", by_status.get(ReplyStatus.REFUSED.value, 0)),
        "commands_failed": ("Commands that have failed on devices", by_status.get(ReplyStatus.FAILED.value, 0)),
        "rollouts_open": ("Roll-outs that are under way", under_way),
        "alerts_open": ("Alerts that nobody has taken up", by_state.get("open", 0)),
        "alerts_acknowledged": ("Alerts that somebody has taken up", by_state.get("acknowledged", 0)),
        "devices": ("Devices ever heard of", known),
        "devices_connected": ("Devices heard since their last will", connected),
    }


async def _counts(connection: AsyncConnection, query: object) -> dict[str, int]:
    return {row[0]: row[1] for row in await connection.execute(query)}  # type: ignore[call-overload]
