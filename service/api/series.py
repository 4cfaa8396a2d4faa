"""Telemetry, drift alerts, adaptations, faults and states of one device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from schemas.adaptation import Adaptation
from schemas.base import Sequenced
from schemas.command import Reply
from schemas.drift import DriftAlert
from schemas.fault import Fault
from schemas.health import Health
from schemas.state import State
from schemas.telemetry import Telemetry
from schemas.topics import EVENTS, Kind
from service.api.context import Context
from service.api.parameters import DeviceName, SeriesCut, SiteName
from service.store.overview import fleet
from service.store.series import Cut, StoredRow, device_series

MessageT = TypeVar("MessageT", bound=Sequenced)


class Item(BaseModel, Generic[MessageT]):
    """One stored message."""

    id: int = Field(description="grows in the order of arrival; pass the last one as `after` to go on")
    kind: str
    received: datetime = Field(description="the supervisor's clock")
    message: MessageT = Field(description="as the device published it")


class Series(BaseModel, Generic[MessageT]):
    """Oldest first."""

    items: list[Item[MessageT]]


#: Path, kinds, model of the documentation, what it is.
_SERIES: tuple[tuple[str, Sequence[Kind], type[BaseModel], str], ...] = (
    ("telemetry", [Kind.TELEMETRY], Series[Telemetry], "Counts and means over windows, one row a period"),
    ("drift", [Kind.DRIFT], Series[DriftAlert], "What the drift detectors have raised"),
    ("adaptations", [Kind.ADAPTATION], Series[Adaptation], "Fine-tuning runs on the wearable, step by step"),
    ("faults", [Kind.FAULT], Series[Fault], "Electrodes, clocks and links: when a fault began and when it passed"),
    ("states", [Kind.STATE], Series[State], "Every change of what the device is doing"),
    ("health", [Kind.HEALTH], Series[Health], "Heartbeats"),
    ("replies", [Kind.REPLY], Series[Reply], "What the device answered to commands"),
    ("events", list(EVENTS), Series[Sequenced], "Everything that is never thinned, in one row"),
)


def series_json(rows: Iterable[StoredRow]) -> str:
    """The payloads are passed on as they came: they were checked when they were stored."""
    items = (
        f'{{"id":{row.id},"kind":"{row.kind}","received":"{row.received.isoformat()}","message":{row.payload}}}'
        for row in rows
    )
    return '{"items":[' + ",".join(items) + "]}"


def router(context: Context) -> APIRouter:
    """Everything stored of a device, kind by kind."""
    routes = APIRouter(prefix="/api/devices/{site}/{device}", tags=["series"])
    for path, kinds, model, summary in _SERIES:
        _add(routes, context, path, kinds, model, summary)
    return routes


def _add(
    routes: APIRouter, context: Context, path: str, kinds: Sequence[Kind], model: type[BaseModel], summary: str
) -> None:
    async def read(site: SiteName, device: DeviceName, cut: SeriesCut) -> Response:
        return await _read(context, site, device, kinds, cut)

    routes.add_api_route(
        f"/{path}",
        read,
        summary=summary,
        operation_id=f"read_{path}",
        response_model=None,
        responses={200: {"model": model}, 404: {"description": "no such device"}},
    )


async def _read(context: Context, site: str, device: str, kinds: Sequence[Kind], cut: Cut) -> Response:
    rows = await device_series(context.database, site, device, kinds, cut)
    if not rows and not await fleet(context.database, site, device):
        raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
    return Response(series_json(rows), media_type="application/json")
