"""The whole fleet in one answer, small enough for a thousand devices."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from schemas.base import utc_now
from schemas.state import DeviceState
from service.api.context import Context
from service.store.alerts import unresolved_counts
from service.store.tables import devices, telemetry_hours

_HOURS = 24
_GONE = (DeviceState.OFFLINE, DeviceState.FINISHED)


class FleetRow(BaseModel):
    """One device."""

    site: str
    device: str
    wearer: str | None
    online: bool
    state: str | None
    last_seen: datetime
    accuracy: float | None = Field(description="of the newest hour with labelled windows")
    trend: list[float | None] = Field(description="accuracy of each of the last 24 hours, oldest first")
    alerts: int = Field(description="not resolved")
    battery: float | None = Field(description="0 to 1, where the wearable can tell")
    outbox: int | None = Field(description="messages that wait at the agent")


class Fleet(BaseModel):
    """`hour` is the newest of the trends."""

    hour: datetime
    items: list[FleetRow]


def router(context: Context) -> APIRouter:
    """The fleet for the page's first view."""
    routes = APIRouter(prefix="/api", tags=["devices"])

    @routes.get("/overview", summary="Every device in one row: state, accuracy now and trend, alerts, battery")
    async def overview() -> Fleet:
        newest = utc_now().replace(minute=0, second=0, microsecond=0)
        oldest = newest - timedelta(hours=_HOURS - 1)
        hours = select(
            telemetry_hours.c.site,
            telemetry_hours.c.device,
            telemetry_hours.c.hour,
            telemetry_hours.c.labelled,
            telemetry_hours.c.correct,
        ).where(telemetry_hours.c.hour >= oldest)
        known = select(devices).order_by(devices.c.site, devices.c.device)
        if context.site is not None:
            known = known.where(devices.c.site == context.site)
        trends: dict[tuple[str, str], list[float | None]] = {}
        async with context.database.read() as connection:
            for site, device, hour, labelled, correct in await connection.execute(hours):
                trend = trends.setdefault((site, device), [None] * _HOURS)
                place = int((hour - oldest).total_seconds() // 3600)
                if labelled and 0 <= place < _HOURS:
                    trend[place] = round(correct / labelled, 4)
            rows = (await connection.execute(known)).mappings().all()
        alerts = await unresolved_counts(context.database)
        return Fleet(hour=newest, items=[_row(dict(row), trends, alerts) for row in rows])

    return routes


def _row(
    row: dict[str, Any], trends: dict[tuple[str, str], list[float | None]], alerts: dict[tuple[str, str], int]
) -> FleetRow:
    # They were checked when they were stored: a thousand times two models would cost more than the rest.
    state = json.loads(row["state"]) if row["state"] else {}
    health = json.loads(row["health"]) if row["health"] else {}
    name = (row["site"], row["device"])
    trend = trends.get(name, [])
    return FleetRow(
        site=row["site"],
        device=row["device"],
        wearer=row["wearer"],
        online=row["connected"] and state.get("state") not in _GONE,
        state=state.get("state"),
        last_seen=row["last_seen"],
        accuracy=next((value for value in reversed(trend) if value is not None), None),
        trend=trend,
        alerts=alerts.get(name, 0),
        battery=health.get("wearable", {}).get("battery"),
        outbox=health.get("outbox"),
    )
