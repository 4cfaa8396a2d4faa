"""Is the supervisor well, and what does it hold."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from schemas.base import utc_now
from service.api.context import Context
from service.api.parameters import After, Limit
from service.store.overview import list_quarantine, totals


class Readiness(BaseModel):
    """Whether broker and database answer."""

    ready: bool
    broker: str = Field(description="`connected`, or why not")
    store: str = Field(description="`ok`, or why not")


class Stats(BaseModel):
    """Counted in the database, last wills left out, except for `process` and `broker`."""

    site: str | None = Field(description="null for every site")
    uptime_s: float
    stored: int
    by_kind: dict[str, int]
    quarantined: int
    missing: int = Field(description="numbered by devices and not in the database: on their way, or lost")
    alerts: int
    devices: int
    hooks: list[str]
    process: dict[str, int] = Field(description="received, stored, duplicates, quarantined since the start")
    broker: dict[str, Any]


class Quarantined(BaseModel):
    """A payload that could not be understood."""

    id: int
    topic: str
    received: datetime
    reason: str
    size: int
    payload_base64: str


class QuarantineList(BaseModel):
    """Newest first."""

    items: list[Quarantined]


def router(context: Context) -> APIRouter:
    """Whether it works, what it has counted, and what it could not understand."""
    routes = APIRouter(tags=["status"])

    @routes.get("/healthz", summary="The process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", summary="Broker and database answer too", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        store = context.ingest.store_error or "ok"
        try:
            async with context.database.read() as connection:
                await connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            store = str(error.orig)
        connected = context.broker.connected
        broker = "connected" if connected else f"not connected: {context.broker.counters.last_error or 'connecting'}"
        ready = connected and store == "ok"
        response.status_code = 200 if ready else 503
        return Readiness(ready=ready, broker=broker, store=store)

    @routes.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"example": "biotrain_messages_stored_total 1024.0"}}}},
    )
    async def metrics() -> Response:
        return Response(context.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/api/stats", summary="What is stored, quarantined and missing")
    async def stats() -> Stats:
        counted = await totals(context.database)
        return Stats(
            site=context.site,
            uptime_s=(utc_now() - context.started).total_seconds(),
            stored=counted.stored,
            by_kind=counted.by_kind,
            quarantined=counted.quarantined,
            missing=counted.missing,
            alerts=counted.alerts,
            devices=counted.devices,
            hooks=list(context.hooks),
            process=asdict(context.ingest.counters),
            broker={
                "address": context.broker.address,
                "connected": context.broker.connected,
                **asdict(context.broker.counters),
            },
        )

    @routes.get("/api/quarantine", summary="What could not be understood, newest first")
    async def quarantine(after: After = 0, limit: Limit = 50) -> QuarantineList:
        rows = await list_quarantine(context.database, after=after, limit=limit)
        return QuarantineList(
            items=[
                Quarantined(
                    id=row["id"],
                    topic=row["topic"],
                    received=row["received"],
                    reason=row["reason"],
                    size=row["size"],
                    payload_base64=base64.b64encode(row["payload"]).decode(),
                )
                for row in rows
            ]
        )

    return routes
