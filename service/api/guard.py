"""Keeps other people's web pages from using a browser to command the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.auth import client_of
from service.refusals import Refusals

_HEADERS = {
    b"content-security-policy": b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
#: A browser that has once come by TLS comes no other way for half a year.
_ONLY_TLS = (b"strict-transport-security", b"max-age=15768000")


class SameOrigin:
    """Refuses what a page of another origin asks, says what our own pages may load, and counts every answer."""

    def __init__(self, app: ASGIApp, refusals: Refusals, responses: Counter[int]) -> None:
        self._app = app
        self._responses = responses
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        own = [*_HEADERS.items(), _ONLY_TLS] if scope["scheme"] == "https" else [*_HEADERS.items()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._responses[message["status"]] += 1
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin.decode("latin-1")).netloc != headers.get(b"host", b"").decode(
            "latin-1"
        ):
            self._refusals.note("other_origin", client_of(scope), scope["method"])
            refusal = JSONResponse({"detail": "requests from pages of another origin are refused"}, status_code=403)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
