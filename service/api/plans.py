"""Plans that may be pushed, and pushing them to one device or to a group."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping

from schemas.base import Name
from schemas.errors import UserError
from schemas.plan_push import LARGEST_FILE_BYTES
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import LARGEST, Before, DeviceName, GroupName, Limit, SiteName
from service.store import audit
from service.store.desired import members
from service.store.overview import fleet
from service.store.plans import add_plan, list_plans, plan_by_id

_BASE64 = LARGEST_FILE_BYTES * 4 // 3 + 4
PlanId = Annotated[int, Field(ge=1, le=LARGEST, description="as `GET /api/plans` lists it")]


class NewPlan(BaseModel):
    """Files as base64; weights name their plan by hash."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "eog-2026-03", "plan": "QlRQTA==", "weights": None}}
    )

    name: Name
    plan: Base64Bytes = Field(max_length=_BASE64, description="the plan file")
    weights: Base64Bytes | None = Field(
        default=None, max_length=_BASE64, description="what devices begin with; null: their own, where they fit"
    )


class PlanView(BaseModel):
    """A plan with the weights that devices begin with."""

    id: int
    name: str
    model: str
    plan_hash: str = Field(description="as devices report it")
    plan: str = Field(description="SHA-256 of the plan file")
    weights: str | None = Field(description="SHA-256 of the weights file")
    created: datetime
    created_by: str


class PlanList(BaseModel):
    """Newest first."""

    items: list[PlanView]


class PushRequest(BaseModel):
    """Either `plan`, or `back`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"plan": 3, "expires_s": 3600}})

    plan: PlanId | None = Field(default=None, description="its id; null with `back`")
    back: bool = Field(default=False, description="the plan from before the last push, with the weights of then")
    expires_s: float = Field(default=3600, ge=1, le=2_592_000, description="then `no_reply` is shown; the wish stays")


class PushView(BaseModel):
    """Its course is that of a command of this id, at each device."""

    command_id: str
    devices: list[str]


def router(context: Context) -> APIRouter:
    """Plans handed in, and pushed to a device or a group."""
    routes = APIRouter(prefix="/api", tags=["plans"])

    @routes.get("/plans", summary="Plans that may be pushed, newest first")
    async def plans(
        name: Annotated[Name | None, Query(description="only the one of this name")] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> PlanList:
        rows = await list_plans(context.database, name=name, before=before, limit=limit)
        return PlanList(items=[_view(dict(row)) for row in rows])

    @routes.post(
        "/plans",
        status_code=201,
        summary="Hand in a plan, and the weights that devices begin with",
        responses={400: {"description": "no plan, damaged, or weights of another one"}},
    )
    async def add(http: Request, new: NewPlan) -> PlanView:
        by = identity_of(http)
        try:
            row = await add_plan(context.database, new.name, new.plan, new.weights, by.name)
        except UserError as error:
            raise HTTPException(400, str(error)) from None
        await audit.note(
            context.database, by.name, by.role, "plan_added", detail=f"{new.name}, {row['plan_hash'][:12]}"
        )
        return _view(dict(row))

    @routes.post(
        "/devices/{site}/{device}/plan",
        status_code=202,
        summary="Push a plan to a device: kept as desired state until it has taken it up",
        responses={404: {"description": "no such device, or no such plan"}},
    )
    async def push(http: Request, site: SiteName, device: DeviceName, request: PushRequest) -> PushView:
        if not await fleet(context.database, site, device):
            raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")
        return await _push(http, site, [device], request, None)

    @routes.post(
        "/groups/{site}/{group}/plan",
        status_code=202,
        summary="Push a plan to every device that is known in a group now",
        responses={404: {"description": "nobody in this group, or no such plan"}},
    )
    async def push_to_group(http: Request, site: SiteName, group: GroupName, request: PushRequest) -> PushView:
        found = await members(context.database, site, group)
        if not found:
            raise HTTPException(404, f"no device of site {site!r} has said that it is in group {group!r}")
        return await _push(http, site, found, request, group)

    async def _push(http: Request, site: str, devices: list[str], request: PushRequest, group: str | None) -> PushView:
        if (request.plan is None) is not request.back:
            raise HTTPException(422, "either `plan`, the id of one, or `back`: true")
        plan = None if request.plan is None else await known_plan(context, request.plan)
        by = identity_of(http)
        name = "the plan from before" if plan is None else f"plan {plan['name']}"
        if group is None:
            await audit.note(context.database, by.name, by.role, "push_plan", site=site, device=devices[0], detail=name)
        else:
            detail = f"group {group}, {len(devices)} devices: {name}"
            await audit.note(context.database, by.name, by.role, "push_plan", site=site, detail=detail)
        command = await context.pushes.push(site, devices, plan, by=by.name, expires_s=request.expires_s, group=group)
        return PushView(command_id=command, devices=devices)

    return routes


async def known_plan(context: Context, number: int) -> RowMapping:
    """Raises HTTPException (404) when there is none."""
    row = await plan_by_id(context.database, number)
    if row is None:
        raise HTTPException(404, f"there is no plan {number}: hand it in first")
    return row


def _view(row: Mapping[str, Any]) -> PlanView:
    return PlanView.model_validate({name: row[name] for name in PlanView.model_fields})
