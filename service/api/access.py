"""Sessions of the page, tokens, and the record of who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Name
from service.api.auth import COOKIE, client_of, identity_of
from service.api.context import Context
from service.api.parameters import Before, Limit
from service.store import audit
from service.tokens import Role


class Me(BaseModel):
    """Whose token a request has."""

    name: str
    role: Role
    tokens_required: bool = Field(description="false where anybody may do everything")


class SessionRequest(BaseModel):
    """A token, to be had as a cookie."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"token": "bt_..."}})

    token: str = Field(min_length=1, max_length=200)


class TokenRequest(BaseModel):
    """Whose token to make, and for what role."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "grafana", "role": "read"}})

    name: Name
    role: Role


class NewToken(BaseModel):
    """A token in the clear, this once."""

    name: str
    role: Role
    token: str = Field(description="shown this once; only its hash is kept")


class TokenView(BaseModel):
    """A token as it is kept: who made it for whom, not what it is."""

    name: str
    role: Role
    created: datetime
    created_by: str
    revoked: datetime | None


class TokenList(BaseModel):
    """By name."""

    items: list[TokenView]


class AuditEntry(BaseModel):
    """Who has done what to which device, and when."""

    id: int
    time: datetime
    who: str
    role: str
    action: str
    site: str | None
    device: str | None
    detail: str


class AuditList(BaseModel):
    """Newest first."""

    items: list[AuditEntry]


def router(context: Context) -> APIRouter:
    """Tokens, the page's cookie, and the audit log."""
    routes = APIRouter(prefix="/api", tags=["access"])
    tokens = context.tokens

    @routes.get("/me", summary="Whose token this is, and what it may do")
    async def me(request: Request) -> Me:
        identity = identity_of(request)
        return Me(name=identity.name, role=identity.role, tokens_required=tokens.required)

    @routes.post(
        "/session",
        status_code=204,
        summary="Hand a token in for a cookie, which the page then sends",
        responses={401: {"description": "the token is not known"}},
    )
    async def begin(request: SessionRequest, response: Response, asked: Request) -> None:
        if tokens.required and await tokens.identify(request.token) is None:
            context.metrics.refusals.note("unknown_token", client_of(asked.scope), "session")
            raise HTTPException(401, "this token is not known")
        if tokens.required:
            # Behind a proxy that brings TLS, uvicorn takes the scheme from the proxy on this machine.
            secure = asked.url.scheme == "https"
            response.set_cookie(
                COOKIE, request.token, httponly=True, samesite="strict", secure=secure, max_age=30 * 86_400
            )

    @routes.delete("/session", status_code=204, summary="Forget the cookie")
    async def end(response: Response) -> None:
        response.delete_cookie(COOKIE)

    @routes.get("/tokens", summary="Every token's name, role and fate (admin)")
    async def list_tokens() -> TokenList:
        return TokenList(items=[TokenView.model_validate(dict(row)) for row in await tokens.list()])

    @routes.post(
        "/tokens", status_code=201, summary="Make a token (admin)", responses={409: {"description": "name taken"}}
    )
    async def create(request: Request, wanted: TokenRequest) -> NewToken:
        by = identity_of(request)
        token = await tokens.create(wanted.name, wanted.role, by.name)
        if token is None:
            raise HTTPException(409, f"there is a token {wanted.name!r} already")
        await audit.note(context.database, by.name, by.role, "token_created", detail=f"{wanted.name} ({wanted.role})")
        return NewToken(name=wanted.name, role=wanted.role, token=token)

    @routes.delete(
        "/tokens/{name}",
        status_code=204,
        summary="Revoke a token (admin)",
        responses={404: {"description": "no such token"}},
    )
    async def revoke(
        request: Request, name: Annotated[Name, Path(description="the token's name", examples=["grafana"])]
    ) -> None:
        if not await tokens.revoke(name):
            raise HTTPException(404, f"there is no token {name!r} that could be revoked")
        by = identity_of(request)
        await audit.note(context.database, by.name, by.role, "token_revoked", detail=name)

    @routes.get("/audit", summary="Who did what to which device, newest first")
    async def read_audit(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        device: Annotated[Name | None, Query(description="only this device's")] = None,
        who: Annotated[str | None, Query(max_length=100, description="only by this token's name")] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> AuditList:
        rows = await audit.entries(context.database, site=site, device=device, who=who, before=before, limit=limit)
        return AuditList(items=[AuditEntry.model_validate(dict(row)) for row in rows])

    return routes
