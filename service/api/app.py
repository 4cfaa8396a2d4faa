"""The REST interface and the page, put together."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from service.api import alerts, commands, devices, live, series, status
from service.api.context import Context
from service.api.guard import SameOrigin

PAGE = Path(__file__).resolve().parent.parent / "web" / "static"


def build_app(context: Context) -> FastAPI:
    app = FastAPI(
        title="biotrain supervisor",
        summary="Telemetry, drift, adaptations and alerts of a fleet of wearables, and commands to them.",
        version="1",
        openapi_url="/api/openapi.json",
        # The usual documentation pages load their scripts from elsewhere; this service works without a network.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(SameOrigin)
    # The series come last: their paths are deeper than a device's.
    for part in (status, devices, commands, alerts, live, series):
        app.include_router(part.router(context))
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app
