"""Commands to a device: adapt now, roll back, ping."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from messaging import PublishError
from schemas.base import Name, utc_now
from schemas.command import Command, GroupCommand, Verb
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import Before, DeviceName, GroupName, Limit, SiteName
from service.store import audit
from service.store.commands import newest, newest_of_group
from service.store.overview import fleet
from service.tokens import ANYBODY, Identity


class CommandRequest(BaseModel):
    """What is asked of the device."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"verb": "adapt", "expires_s": 60}})

    verb: Literal[Verb.ADAPT, Verb.ROLL_BACK, Verb.PING] = Field(description="a plan is pushed with its own request")
    issued_by: str = Field(default="", max_length=100, description="who asks, for the record")
    expires_s: float = Field(default=60, ge=1, le=86_400, description="the device refuses it when it comes later")


class CommandView(BaseModel):
    """A command and the device's last word on it."""

    id: int
    device: str | None = Field(description="null for the row of a group itself")
    group: str | None
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
    """Newest first."""

    items: list[CommandView]


def router(context: Context) -> APIRouter:
    """Commands to a device or a group, and what has become of them."""
    routes = APIRouter(prefix="/api/devices/{site}/{device}/commands", tags=["commands"])
    groups = APIRouter(prefix="/api/groups/{site}/{group}/commands", tags=["commands"])

    @routes.post(
        "",
        status_code=202,
        summary="Send a command; ask for its status by its id",
        responses={404: {"description": "no such device"}, 503: {"description": "the broker is not there"}},
    )
    async def send(http: Request, site: SiteName, device: DeviceName, request: CommandRequest) -> CommandView:
        if not await fleet(context.database, site, device):
            raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
        by = identity_of(http)
        await audit.note(context.database, by.name, by.role, f"command_{request.verb}", site=site, device=device)
        try:
            command = await context.commands.send(
                site, device, request.verb, issued_by=_issuer(by, request), expires_s=request.expires_s
            )
        except PublishError as error:
            raise HTTPException(503, f"the command was not sent: {error}") from None
        return await _one(context, site, device, command.command_id)

    @routes.get("", summary="Commands to this device, newest first")
    async def commands(site: SiteName, device: DeviceName, before: Before = None, limit: Limit = 50) -> CommandList:
        rows = await newest(context.database, site, device, limit=limit, before=before)
        return CommandList(items=[_view(dict(row)) for row in rows])

    @routes.get("/{command_id}", summary="One command", responses={404: {"description": "no such command"}})
    async def command(
        site: SiteName,
        device: DeviceName,
        command_id: Annotated[Name, Path(description="as `send` gave it", examples=["adapt-0a1b2c3d4e5f"])],
    ) -> CommandView:
        return await _one(context, site, device, command_id)

    @groups.post(
        "",
        status_code=202,
        summary="Send a command to every device that listens to a group",
        responses={503: {"description": "the broker is not there"}},
    )
    async def send_to_group(http: Request, site: SiteName, group: GroupName, request: CommandRequest) -> CommandView:
        by = identity_of(http)
        await audit.note(
            context.database, by.name, by.role, f"command_{request.verb}", site=site, detail=f"group {group}"
        )
        try:
            command = await context.commands.send_to_group(
                site, group, request.verb, issued_by=_issuer(by, request), expires_s=request.expires_s
            )
        except PublishError as error:
            raise HTTPException(503, f"the command was not sent: {error}") from None
        rows = await newest_of_group(context.database, site, group, limit=1, command_id=command.command_id)
        return _view(dict(rows[0]))

    @groups.get("", summary="Commands to this group and its devices' answers, newest first")
    async def group_commands(site: SiteName, group: GroupName, before: Before = None, limit: Limit = 50) -> CommandList:
        rows = await newest_of_group(context.database, site, group, limit=limit, before=before)
        return CommandList(items=[_view(dict(row)) for row in rows])

    both = APIRouter()
    both.include_router(routes)
    both.include_router(groups)
    return both


def _issuer(by: Identity, request: CommandRequest) -> str:
    """A token's name cannot be talked away; without tokens it is what the asker says."""
    return request.issued_by if by is ANYBODY else by.name


async def _one(context: Context, site: str, device: str, command_id: str) -> CommandView:
    rows = await newest(context.database, site, device, limit=1, command_id=command_id)
    if not rows:
        raise HTTPException(404, f"no command {command_id!r} was sent to device {device!r} of site {site!r}")
    return _view(dict(rows[0]))


def _view(row: Mapping[str, Any]) -> CommandView:
    # A plan is pushed to the members of a group by name; other commands are one message to all of them.
    of = GroupCommand if GroupCommand.SCHEMA in row["payload"][:200] else Command
    command: Command | GroupCommand = of.model_validate_json(row["payload"])
    status = row["status"]
    if status in ("created", "sent") and command.expires is not None and command.expires < utc_now():
        status = "no_reply"
    return CommandView(
        id=row["id"],
        device=row["device"] or None,
        group=row["group_name"],
        command_id=command.command_id,
        verb=command.verb,
        issued_by=command.issued_by,
        time=command.time,
        expires=command.expires,
        status=status,
        detail=row["detail"],
        answered=row["answered"],
    )
