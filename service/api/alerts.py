"""What a person should look at, newest first; taken up and resolved by hand; and what became of telling others."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from schemas.alert import Alert, AlertRule, AlertState, Severity
from schemas.base import Name, utc_now
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import LARGEST, After, Before, Limit
from service.store import audit, deliveries
from service.store.alert_rows import change_by_hand
from service.store.alerts import deliveries_of, list_alerts

_AlertId = Annotated[int, Path(ge=1, le=LARGEST, description="`id` of the alert's row", examples=[1])]


class HookRun(BaseModel):
    """What became of handing an alert to one hook or webhook."""

    hook: str
    transition: str = Field(description="`opened`, `acknowledged` or `resolved`")
    status: str = Field(description="`pending`, `done`, `failed`, `timed_out`, `skipped`, or `dead` when given up")
    attempts: int
    duration_s: float | None
    detail: str


class AlertItem(BaseModel):
    """An alert, where it stands, and what its hooks have said."""

    id: int
    state: AlertState
    count: int = Field(description="how often it was raised before it was resolved")
    changed: datetime
    acknowledged_by: str | None
    resolved_by: str | None = Field(description="a token's name, or `device` when its cause has passed")
    alert: Alert
    hooks: list[HookRun]


class AlertList(BaseModel):
    """Newest first."""

    items: list[AlertItem]


class DeliveryItem(BaseModel):
    """An alert's way to one channel: tried again until it is there, or dead."""

    id: int
    alert: int
    transition: str
    channel: str = Field(description="`mqtt`, a hook's name, or a webhook's address")
    status: str
    attempts: int
    due: datetime
    ended: datetime | None
    detail: str


class DeliveryList(BaseModel):
    """Newest first."""

    items: list[DeliveryItem]


def router(context: Context) -> APIRouter:
    """Alerts, what people do with them, and what was told to whom."""
    routes = APIRouter(prefix="/api", tags=["alerts"])

    @routes.get("/alerts", summary="Alerts, newest first")
    async def alerts(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        device: Annotated[Name | None, Query(description="only this device's")] = None,
        rule: Annotated[AlertRule | None, Query(description="only of this rule")] = None,
        severity: Annotated[Severity | None, Query(description="only of this severity")] = None,
        state: Annotated[list[AlertState] | None, Query(description="only in these states; repeatable")] = None,
        after: After = 0,
        before: Before = None,
        limit: Limit = 100,
    ) -> AlertList:
        rows = await list_alerts(
            context.database,
            site=site,
            device=device,
            rule=rule,
            severity=severity,
            state=[one.value for one in state or ()],
            after=after,
            before=before,
            limit=limit,
        )
        runs = await deliveries_of(context.database, [row["id"] for row in rows])
        return AlertList(items=[_item(dict(row), [_run(dict(run)) for run in runs.get(row["id"], [])]) for row in rows])

    @routes.post(
        "/alerts/{alert_id}/acknowledge",
        status_code=204,
        summary="Take an alert up: somebody sees to it",
        responses={404: {"description": "no such alert"}, 409: {"description": "taken up or resolved already"}},
    )
    async def acknowledge(request: Request, alert_id: _AlertId) -> None:
        await _change(context, request, alert_id, AlertState.ACKNOWLEDGED)

    @routes.post(
        "/alerts/{alert_id}/resolve",
        status_code=204,
        summary="Call an alert settled",
        responses={404: {"description": "no such alert"}, 409: {"description": "resolved already"}},
    )
    async def resolve(request: Request, alert_id: _AlertId) -> None:
        await _change(context, request, alert_id, AlertState.RESOLVED)

    @routes.get("/deliveries", summary="What became of telling hooks, webhooks and MQTT, newest first")
    async def list_deliveries(
        status: Annotated[
            str | None, Query(max_length=16, description="only these; `dead` is the dead-letter list")
        ] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> DeliveryList:
        rows = await deliveries.list_deliveries(context.database, status, before, limit)
        return DeliveryList(items=[DeliveryItem.model_validate(dict(row)) for row in rows])

    @routes.post(
        "/deliveries/{delivery_id}/retry",
        status_code=204,
        summary="Try one that has failed or was given up again (admin)",
        responses={404: {"description": "none that has failed"}},
    )
    async def retry(
        request: Request, delivery_id: Annotated[int, Path(ge=1, le=LARGEST, description="`id` of the delivery")]
    ) -> None:
        if not await deliveries.revive(context.database, delivery_id):
            raise HTTPException(404, f"delivery {delivery_id} is not there, or has not failed")
        context.on_alerts([])
        by = identity_of(request)
        await audit.note(context.database, by.name, by.role, "delivery_retried", detail=str(delivery_id))

    return routes


async def _change(context: Context, request: Request, alert_id: int, state: AlertState) -> None:
    by = identity_of(request)

    def work(connection: Connection, now: datetime) -> Any:
        return change_by_hand(connection, alert_id, state, context.channels, now, by=by.name)

    try:
        change = await context.database.in_writer_thread(partial(work, now=utc_now()))
    except KeyError:
        raise HTTPException(404, f"there is no alert {alert_id}") from None
    if isinstance(change, str):
        raise HTTPException(409, f"alert {alert_id}: {change}")
    context.on_alerts([change])
    alert = change.alert
    await audit.note(
        context.database,
        by.name,
        by.role,
        f"alert_{state.value}",
        site=alert.site,
        device=alert.device,
        detail=alert.alert_id,
    )


def _item(row: dict[str, Any], runs: list[HookRun]) -> AlertItem:
    return AlertItem(
        id=row["id"],
        state=row["state"],
        count=row["count"],
        changed=row["changed"],
        acknowledged_by=row["acknowledged_by"],
        resolved_by=row["resolved_by"],
        alert=Alert.model_validate_json(row["payload"]),
        hooks=runs,
    )


def _run(row: dict[str, Any]) -> HookRun:
    return HookRun(hook=row["channel"], **{name: row[name] for name in HookRun.model_fields if name != "hook"})
