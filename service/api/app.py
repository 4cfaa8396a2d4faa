"""The REST interface and the page, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from service.api import (
    access,
    alerts,
    commands,
    desired,
    devices,
    live,
    overview,
    plans,
    rollouts,
    series,
    sessions,
    status,
)
from service.api.auth import Authenticate
from service.api.context import Context
from service.api.guard import SameOrigin

PAGE = Path(__file__).resolve().parent.parent / "web" / "static"


class Refusal(BaseModel):
    """What every answer that is not a success holds; 422 lists what is wrong, field by field."""

    detail: str | list[dict[str, Any]] = Field(examples=["a token is needed: Authorization: Bearer <token>"])


_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "no token, or one that is not known"},
    403: {"model": Refusal, "description": "the token's role may not do this, or a page of another origin asks"},
    422: {"model": Refusal, "description": "a parameter or the body is not what it should be"},
    429: {"model": Refusal, "description": "more than the limit allows; `Retry-After` says when to try again"},
    500: {"model": Refusal, "description": "a fault of the supervisor's own"},
    503: {"model": Refusal, "description": "the database or the broker is not there; try again"},
}


def build_app(context: Context) -> FastAPI:
    """REST interface and page, with who may ask for what before them."""
    app = FastAPI(
        title="biotrain supervisor",
        summary="Telemetry, drift, adaptations and alerts of a fleet of wearables, and commands to them.",
        version="1",
        openapi_url="/api/openapi.json",
        # The usual documentation pages load their scripts from elsewhere; this service works without a network.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Authenticate, tokens=context.tokens, refusals=context.metrics.refusals, limits=context.limits)
    app.add_middleware(SameOrigin, refusals=context.metrics.refusals, responses=context.metrics.responses)
    # The series come last: their paths are deeper than a device's.
    for part in (status, access, overview, devices, sessions, commands, desired, plans, rollouts, alerts, live, series):
        app.include_router(part.router(context), responses=_REFUSALS)

    plain = app.openapi

    def openapi() -> dict[str, Any]:
        """Every answer that is not a success has the same body, also where only its reason is described."""
        document = plain()
        body = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
        for operations in document["paths"].values():
            for operation in operations.values():
                for code, response in operation["responses"].items():
                    if code >= "400":
                        response.setdefault("content", body)
        return document

    app.openapi = openapi  # type: ignore[method-assign]

    @app.exception_handler(DBAPIError)
    async def database_is_away(request: Request, error: DBAPIError) -> JSONResponse:
        return JSONResponse({"detail": f"the database does not answer: {error.orig}"[:300]}, 503)

    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app
