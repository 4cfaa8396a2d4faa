"""Commands to a device: adapt now, roll back, ping."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from messaging import PublishError
from schemas.base import utc_now
from schemas.command import Command, Verb
from service.api.context import Context
from service.api.parameters import DeviceName, Limit, SiteName
from service.store.commands import newest
from service.store.overview import fleet


class CommandRequest(BaseModel):
    """What is asked of the device."""

    model_config = ConfigDict(extra="forbid")

    verb: Verb
    issued_by: str = Field(default="", max_length=100, description="who asks, for the record")
    expires_s: float = Field(default=60, ge=1, le=86_400, description="the device refuses it when it comes later")


class CommandView(BaseModel):
    """A command and the device's last word on it."""

    command_id: str
    verb: Verb
    issued_by: str
    time: datetime
    expires: datetime | None
    status: str = Field(
        description="`created`, `sent`, `not_sent`, `no_reply`, or the device's `accepted`, `done`, `refused`, `failed`"
    )
    detail: str
    answered: datetime | None


class CommandList(BaseModel):
    items: list[CommandView]


def router(context: Context) -> APIRouter:
    routes = APIRouter(prefix="/api/devices/{site}/{device}/commands", tags=["commands"])

    @routes.post(
        "",
        status_code=202,
        summary="Send a command; ask for its status by its id",
        responses={404: {"description": "no such device"}, 503: {"description": "the broker is not there"}},
    )
    async def send(site: SiteName, device: DeviceName, request: CommandRequest) -> CommandView:
        if not await fleet(context.database, site, device):
            raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
        try:
            command = await context.commands.send(
                site, device, request.verb, issued_by=request.issued_by, expires_s=request.expires_s
            )
        except PublishError as error:
            raise HTTPException(503, f"the command was not sent: {error}") from None
        return await _one(context, site, device, command.command_id)

    @routes.get("", summary="Commands to this device, newest first")
    async def commands(site: SiteName, device: DeviceName, limit: Limit = 50) -> CommandList:
        rows = await newest(context.database, site, device, limit=limit)
        return CommandList(items=[_view(dict(row)) for row in rows])

    @routes.get("/{command_id}", summary="One command", responses={404: {"description": "no such command"}})
    async def command(site: SiteName, device: DeviceName, command_id: str) -> CommandView:
        return await _one(context, site, device, command_id)

    return routes


async def _one(context: Context, site: str, device: str, command_id: str) -> CommandView:
    rows = await newest(context.database, site, device, limit=1, command_id=command_id)
    if not rows:
        raise HTTPException(404, f"no command {command_id!r} was sent to device {device!r} of site {site!r}")
    return _view(dict(rows[0]))


def _view(row: Mapping[str, Any]) -> CommandView:
    command = Command.model_validate_json(row["payload"])
    status = row["status"]
    if status in ("created", "sent") and command.expires is not None and command.expires < utc_now():
        status = "no_reply"
    return CommandView(
        command_id=command.command_id,
        verb=command.verb,
        issued_by=command.issued_by,
        time=command.time,
        expires=command.expires,
        status=status,
        detail=row["detail"],
        answered=row["answered"],
    )
