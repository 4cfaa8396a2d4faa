"""The fleet as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from messaging import PublishError
from schemas.base import Name
from schemas.health import Health
from schemas.state import DeviceState, State
from schemas.topics import RETAINED, DeviceTopic
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import DeviceName, Limit, SiteName
from service.store import audit
from service.store.erase import erase_device
from service.store.overview import fleet, gaps, stored_counts

_GONE = (DeviceState.OFFLINE, DeviceState.FINISHED)


class Device(BaseModel):
    """One device: what it was last known to do, and whether it is there."""

    site: str
    device: str
    wearer: str | None
    online: bool = Field(description="heard since its last will, and neither offline nor finished by its own word")
    first_seen: datetime
    last_seen: datetime
    boot: int
    stored: int = Field(description="messages in the database")
    state: State | None
    health: Health | None


class DeviceList(BaseModel):
    """By site and name."""

    items: list[Device]


class Erased(BaseModel):
    """What has been taken away."""

    messages: int = Field(description="so many were stored of the device")


class GapView(BaseModel):
    """Messages that a device has numbered and that are not in the database: on their way, or lost."""

    boot: int
    first: int
    last: int


class GapList(BaseModel):
    """Oldest first."""

    items: list[GapView]


def router(context: Context) -> APIRouter:
    """Devices, what is missing of them, and how to erase one."""
    routes = APIRouter(prefix="/api/devices", tags=["devices"])

    @routes.get("", summary="Devices ever heard of, by site and name")
    async def devices(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        wearer: Annotated[Name | None, Query(description="only those that this person wears now")] = None,
        after: Annotated[
            str | None,
            Query(
                pattern=r"^[^/]+/[^/]+$", max_length=200, description="`SITE/DEVICE`, the last one of the page before"
            ),
        ] = None,
        limit: Limit = 1000,
    ) -> DeviceList:
        counts = await stored_counts(context.database, site)
        last = None if after is None else (after.partition("/")[0], after.partition("/")[2])
        rows = await fleet(context.database, site, wearer=wearer, after=last, limit=limit)
        return DeviceList(items=[_view(dict(row), counts) for row in rows])

    @routes.get("/{site}/{device}", summary="One device", responses={404: {"description": "no such device"}})
    async def device(site: SiteName, device: DeviceName) -> Device:
        row = await _known(context, site, device)
        return _view(row, await stored_counts(context.database, site))

    @routes.get("/{site}/{device}/gaps", summary="Numbered by the device and not (yet) in the database")
    async def device_gaps(site: SiteName, device: DeviceName) -> GapList:
        await _known(context, site, device)
        found = await gaps(context.database, site, device)
        return GapList(items=[GapView(boot=gap.boot, first=gap.first, last=gap.last) for gap in found])

    @routes.delete(
        "/{site}/{device}",
        summary="Erase all that is stored of a device (admin)",
        responses={404: {"description": "no such device"}},
    )
    async def erase(http: Request, site: SiteName, device: DeviceName) -> Erased:
        """Messages, alerts, commands, desired state, sums by the hour and quarantine, and what the broker keeps for
        newcomers. The audit log keeps that it was done. Stop its agent first: what a device sends afterwards is stored
        again. Without the broker nothing is erased (503)."""
        await _known(context, site, device)
        by = identity_of(http)
        try:
            for kind in RETAINED:
                await context.broker.publish(str(DeviceTopic(site, device, kind)), b"", retain=True)
        except PublishError as error:
            raise HTTPException(503, f"what the broker keeps of it cannot be taken away: {error}") from None
        await audit.note(context.database, by.name, by.role, "device_erased", site=site, device=device)
        return Erased(messages=await erase_device(context.database, site, device))

    return routes


async def _known(context: Context, site: str, device: str) -> dict[str, Any]:
    rows = await fleet(context.database, site, device)
    if not rows:
        raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
    return dict(rows[0])


def _view(row: Mapping[str, Any], counts: Mapping[tuple[str, str], int]) -> Device:
    state = State.model_validate_json(row["state"], extra="ignore") if row["state"] else None
    return Device(
        site=row["site"],
        device=row["device"],
        wearer=row["wearer"],
        online=row["connected"] and not (state is not None and state.state in _GONE),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        boot=row["boot"],
        stored=counts.get((row["site"], row["device"]), 0),
        state=state,
        health=Health.model_validate_json(row["health"], extra="ignore") if row["health"] else None,
    )
