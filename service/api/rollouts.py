"""Roll-outs of a plan: begin, watch, hold, stop."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Name
from schemas.errors import UserError
from schemas.topics import EVERY_DEVICE
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import LARGEST, Before, Limit
from service.api.plans import PlanId, known_plan
from service.rollout.settings import RolloutSettings
from service.rollout.signed import check_way_back
from service.store import audit
from service.store.desired import members
from service.store.plans import plan_names
from service.store.rollouts import devices_of, list_rollouts, rollout_by_id

RolloutId = Annotated[int, Path(ge=1, le=LARGEST, description="as `GET /api/rollouts` lists it")]


class NewRollout(BaseModel):
    """A roll-out to begin."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"site": "lab", "plan": 3, "settings": {"shares": [0.05, 0.25, 1.0]}}},
    )

    site: Name
    group: Name = EVERY_DEVICE
    plan: PlanId
    return_to: PlanId | None = Field(
        default=None,
        description="what devices return to; null: the plan that each ran before. Devices that refuse an older plan "
        "need the old one signed anew under a higher number here",
    )
    settings: RolloutSettings = RolloutSettings()


class Comparison(BaseModel):
    """The newest look: what the plan did to accuracy, beyond what happened to devices without it."""

    look: int
    time: datetime
    difference: float = Field(description="of accuracy, after less before")
    standard_error: float
    p_value: float = Field(description="of no greater loss than `margin`")
    threshold: float = Field(description="stopped at this p-value, or below")
    dispersion: float = Field(description="of blocks of windows, against independent ones")
    devices: int
    labelled: int = Field(description="windows under the new plan")
    others: int = Field(description="devices without it that were compared")


class RolloutDevice(BaseModel):
    """A device's part in a roll-out."""

    device: str
    stage: int = Field(description="from 1")
    state: str = Field(
        description="`waiting`, `asked`, `running`, `failed`, `no_answer`, `returning`, `returned`, `not_returned`"
    )
    detail: str
    changed: datetime | None
    before: float | None = Field(description="accuracy before, as of the newest look")
    after: float | None
    labelled: int | None = Field(description="windows under the new plan")


class RolloutView(BaseModel):
    """A roll-out: how far it has come, and what it has done to accuracy."""

    id: int
    site: str
    group: str
    plan: int
    plan_name: str
    return_to: int | None
    state: str = Field(description="`running`, `paused`, `returning`, `stopped`, `done`")
    stage: int = Field(description="from 1")
    stages: int
    reason: str
    counts: dict[str, int] = Field(description="devices by state")
    comparison: Comparison | None
    settings: RolloutSettings
    created: datetime
    created_by: str
    changed: datetime
    devices: list[RolloutDevice] = Field(description="empty in the list of all")


class RolloutList(BaseModel):
    """Newest first."""

    items: list[RolloutView]


class RolloutState(StrEnum):
    """Where a roll-out stands."""

    RUNNING = "running"
    PAUSED = "paused"
    RETURNING = "returning"
    STOPPED = "stopped"
    DONE = "done"


class Action(StrEnum):
    """What a person may do with a roll-out."""

    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    STOP = "stop"


def router(context: Context) -> APIRouter:
    """Roll-outs: begin one, look at them, act on one."""
    routes = APIRouter(prefix="/api/rollouts", tags=["plans"])

    @routes.get("", summary="Roll-outs, newest first")
    async def rollouts(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        state: Annotated[RolloutState | None, Query(description="only in this state")] = None,
        before: Before = None,
        limit: Limit = 50,
    ) -> RolloutList:
        rows = await list_rollouts(context.database, site=site, state=state, before=before, limit=limit)
        names = await plan_names(context.database, {row["plan"] for row in rows})
        return RolloutList(items=[await _view(dict(row), names, False) for row in rows])

    @routes.post(
        "",
        status_code=201,
        summary="Begin one: a canary share first, then more; it stops and returns when accuracy falls",
        responses={
            404: {"description": "no such plan"},
            409: {"description": "nobody in this group, a device is in another roll-out, or has no signed way back"},
        },
    )
    async def begin(http: Request, new: NewRollout) -> RolloutView:
        plan = await known_plan(context, new.plan)
        home = None if new.return_to is None else await known_plan(context, new.return_to)
        found, by = await members(context.database, new.site, new.group), identity_of(http)
        try:
            await check_way_back(context.database, new.site, found, plan, home)
            number = await context.rollouts.create(new.site, new.group, found, plan, home, new.settings, by.name)
        except UserError as error:
            raise HTTPException(409, str(error)) from None
        detail = f"roll-out {number}: plan {plan['name']} to group {new.group}, {len(found)} devices"
        await audit.note(context.database, by.name, by.role, "rollout_begun", site=new.site, detail=detail)
        await context.rollouts.look(number)
        return await _one(number)

    @routes.get("/{rollout}", summary="One roll-out, with its devices", responses={404: {"description": "no such one"}})
    async def one(rollout: RolloutId) -> RolloutView:
        return await _one(rollout)

    @routes.post(
        "/{rollout}/{action}",
        summary="Pause and resume; advance to the next stage now; stop and return",
        responses={404: {"description": "no such one"}, 409: {"description": "its state does not allow it"}},
    )
    async def act(
        http: Request, rollout: RolloutId, action: Annotated[Action, Path(description="what to do with it")]
    ) -> RolloutView:
        before, by = await _one(rollout), identity_of(http)
        if not await context.rollouts.act(rollout, action.value, by.name):
            raise HTTPException(409, f"roll-out {rollout} is {before.state}: it cannot {action.value}")
        detail = f"roll-out {rollout}"
        await audit.note(context.database, by.name, by.role, f"rollout_{action}", site=before.site, detail=detail)
        return await _one(rollout)

    async def _one(number: int) -> RolloutView:
        row = await rollout_by_id(context.database, number)
        if row is None:
            raise HTTPException(404, f"there is no roll-out {number}")
        return await _view(dict(row), await plan_names(context.database, {row["plan"]}), True)

    async def _view(row: Mapping[str, Any], names: Mapping[int, str], whole: bool) -> RolloutView:
        found = await devices_of(context.database, row["id"])
        verdict = json.loads(row["verdict"]) if row["verdict"] else None
        figures = verdict["devices"] if verdict else {}
        return RolloutView(
            id=row["id"],
            site=row["site"],
            group=row["group_name"],
            plan=row["plan"],
            plan_name=names.get(row["plan"], ""),
            return_to=row["return_to"],
            state=row["state"],
            stage=row["stage"] + 1,
            stages=max((one["stage"] for one in found), default=0) + 1,
            reason=row["reason"],
            counts=dict(Counter(one["state"] for one in found)),
            comparison=None if verdict is None else _comparison(verdict),
            settings=RolloutSettings.model_validate_json(row["settings"]),
            created=row["created"],
            created_by=row["created_by"],
            changed=row["changed"],
            devices=[_device(dict(one), figures.get(one["device"])) for one in found] if whole else [],
        )

    return routes


def _comparison(verdict: Mapping[str, Any]) -> Comparison:
    plain = ("look", "time", "difference", "standard_error", "p_value", "threshold", "dispersion")
    return Comparison(
        **{name: verdict[name] for name in plain},
        devices=verdict["changed"]["devices"],
        labelled=verdict["changed"]["labelled"],
        others=verdict["others"]["devices"] if verdict["others"] else 0,
    )


def _device(row: Mapping[str, Any], figures: list[Any] | None) -> RolloutDevice:
    return RolloutDevice(
        device=row["device"],
        stage=row["stage"] + 1,
        state=row["state"],
        detail=row["detail"],
        changed=row["changed"],
        before=figures[1] if figures else None,
        after=figures[3] if figures else None,
        labelled=figures[2] if figures else None,
    )
