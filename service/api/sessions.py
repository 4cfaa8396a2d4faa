"""Recording sessions of a device."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from service.api.context import Context
from service.api.parameters import LARGEST, DeviceName, SiteName
from service.store.overview import fleet
from service.store.sessions import sessions


class SessionView(BaseModel):
    """From a start of the agent to the last that was heard of it, of one wearer; times are the device's own."""

    boot: int = Field(description="the agent's start")
    wearer: str | None = Field(description="null before anybody wore it")
    began: datetime
    ended: datetime
    messages: int
    windows: int = Field(description="of the telemetry that is kept in full")
    windows_dropped: int
    labelled: int
    correct: int
    accuracy: float | None = Field(description="of the labelled windows; null without any")
    drift_alerts: int


class SessionList(BaseModel):
    """Newest first."""

    items: list[SessionView]


def router(context: Context) -> APIRouter:
    """What was recorded from each start of an agent on."""
    routes = APIRouter(prefix="/api/devices/{site}/{device}", tags=["devices"])

    @routes.get(
        "/sessions",
        summary="What was recorded from each start of the agent on, by wearer; newest first",
        responses={404: {"description": "no such device"}},
    )
    async def read(
        site: SiteName,
        device: DeviceName,
        before: Annotated[int | None, Query(ge=1, le=LARGEST, description="only earlier starts: the next page")] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="starts at most")] = 20,
    ) -> SessionList:
        """A device is never told where a session begins: a start of its agent is the closest to it."""
        if not await fleet(context.database, site, device):
            raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
        rows = await sessions(context.database, site, device, before=before, limit=limit)
        items = [
            SessionView(**row, accuracy=row["correct"] / row["labelled"] if row["labelled"] else None) for row in rows
        ]
        return SessionList(items=items)

    return routes
