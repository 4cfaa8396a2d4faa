"""Asks for a token where one is needed, and lets through what its role may do."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from fastapi import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.limits import RequestLimits
from service.refusals import Refusals
from service.tokens import ANYBODY, Identity, Role, TokenDesk

COOKIE = "biotrain_token"
#: Reached without a token: whether it lives, the page itself, and the place where a token is handed in.
_OPEN = ("/healthz", "/readyz", "/api/session", "/api/openapi.json")
_SESSION = "/api/session"
_ERASED = "/api/devices/"
_ADMIN = ("/api/tokens", "/api/deliveries")


class Authenticate:
    """Sets `identity` in the request's state."""

    def __init__(self, app: ASGIApp, tokens: TokenDesk, refusals: Refusals, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits
        self._refusals = refusals
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        scope.setdefault("state", {})["identity"] = ANYBODY
        if self._tokens.required and path not in _OPEN and path.startswith(("/api", "/metrics")):
            token = _token_of(dict(scope["headers"]))
            wanted = _wanted(scope["method"], path)
            address = client_of(scope)
            guesses = self._limits.guesses
            if token and not self._tokens.is_proven(token) and (wait := guesses.wait_s(address)):
                await self._turn_away("too_many_guesses", address, wait, scope, receive, send)
                return
            identity = await self._tokens.identify(token) if token else None
            if token and identity is None:
                guesses.take(address)
            asks = f"address {address}" if identity is None else f"token {identity.name}"
            if wait := self._limits.requests.take(asks):
                await self._turn_away("too_many", asks, wait, scope, receive, send)
                return
            if identity is None:
                word = "this token is not known" if token else "a token is needed: Authorization: Bearer <token>"
                self._refusals.note("unknown_token" if token else "no_token", client_of(scope), wanted.value)
                refusal = JSONResponse({"detail": word}, 401, {"WWW-Authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
            if not identity.role.may(wanted):
                word = f"this needs the role {wanted.value!r}; {identity.name!r} has {identity.role.value!r}"
                self._refusals.note("role", identity.name, wanted.value)
                await JSONResponse({"detail": word}, 403)(scope, receive, send)
                return
            scope["state"]["identity"] = identity
        elif self._tokens.required and path == _SESSION and scope["method"] == "POST":
            await self._sign_in(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A token that is handed in wrongly is a guess like any other."""
        address = client_of(scope)
        if wait := self._limits.guesses.wait_s(address):
            await self._turn_away("too_many_guesses", address, wait, scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._limits.guesses.take(address)
            await send(message)

        await self._app(scope, receive, count)

    async def _turn_away(self, reason: str, who: str, wait_s: int, scope: Scope, receive: Receive, send: Send) -> None:
        self._refusals.note(reason, who, scope["method"])
        what = "unknown tokens" if reason == "too_many_guesses" else "requests"
        detail = {"detail": f"too many {what}: try again in {wait_s} s"}
        await JSONResponse(detail, 429, {"Retry-After": str(wait_s)})(scope, receive, send)


def client_of(scope: Scope) -> str:
    """The client's address, without its port."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def identity_of(request: Request) -> Identity:
    """Whoever asks: `Authenticate` has put it there."""
    found: Identity = request.state.identity
    return found


def _wanted(method: str, path: str) -> Role:
    if path.startswith(_ADMIN) and (method not in ("GET", "HEAD") or path.startswith("/api/tokens")):
        return Role.ADMIN
    if method == "DELETE" and path.startswith(_ERASED):
        return Role.ADMIN
    return Role.READ if method in ("GET", "HEAD", "OPTIONS") else Role.OPERATE


def _token_of(headers: Mapping[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return None if cookie is None else cookie.value
