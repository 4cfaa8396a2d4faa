"""What a person should look at, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from schemas.alert import Alert, AlertRule, Severity
from schemas.base import Name
from service.api.context import Context
from service.api.parameters import After, Limit
from service.store.alerts import deliveries_of, list_alerts


class HookRun(BaseModel):
    """What became of handing an alert to one hook."""

    hook: str
    status: str = Field(description="`pending`, `done`, `failed`, `timed_out` or `skipped`")
    duration_s: float | None
    detail: str


class AlertItem(BaseModel):
    id: int
    alert: Alert
    hooks: list[HookRun]


class AlertList(BaseModel):
    items: list[AlertItem]


def router(context: Context) -> APIRouter:
    routes = APIRouter(prefix="/api/alerts", tags=["alerts"])

    @routes.get("", summary="Alerts, newest first")
    async def alerts(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        device: Annotated[Name | None, Query(description="only this device's")] = None,
        rule: Annotated[AlertRule | None, Query(description="only of this rule")] = None,
        severity: Annotated[Severity | None, Query(description="only of this severity")] = None,
        after: After = 0,
        limit: Limit = 100,
    ) -> AlertList:
        rows = await list_alerts(
            context.database, site=site, device=device, rule=rule, severity=severity, after=after, limit=limit
        )
        runs = await deliveries_of(context.database, [row["id"] for row in rows])
        return AlertList(
            items=[
                AlertItem(
                    id=row["id"],
                    alert=Alert.model_validate_json(row["payload"]),
                    hooks=[
                        HookRun(
                            hook=run["channel"],
                            status=run["status"],
                            duration_s=run["duration_s"],
                            detail=run["detail"],
                        )
                        for run in runs.get(row["id"], [])
                    ],
                )
                for row in rows
            ]
        )

    return routes
