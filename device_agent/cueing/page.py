"""Cues on a page in a browser: the page says when a cue was painted, on a clock that both sides agree on.

The page asks for the time a few times and keeps the answer that came back quickest: its offset is known to half of
that round trip, far less than a frame on one computer.
"""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from device_agent.cueing.display import Display, DisplayLost
from schemas.errors import UserError

_PAINT_S = 5.0
"""A page that is looked at paints within a frame; one in a hidden tab never does."""
_COME_BACK_S = 30.0
"""A page that was closed may be opened again for so long."""
_MOST_BYTES = 10_000
_AHEAD_S = 0.1
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self' ws: wss:",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class PageDisplay(Display):
    """Serves one page; the one that was opened last is shown to."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: Any = None
        self._page: Any = None
        self._here = asyncio.Event()
        self._number = 0
        self._painted: dict[int, asyncio.Future[float]] = {}
        self._last = ""

    async def open(self) -> str:
        from websockets.asyncio.server import serve

        try:
            self._server = await serve(
                self._serve, self._host, self._port, process_request=_answer, max_size=_MOST_BYTES,
                compression=None, close_timeout=1,
            )  # fmt: skip
        except OSError as error:
            raise UserError(
                f"--page {self._host}:{self._port}: cannot listen there ({error.strerror or error}): "
                "choose another port"
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    async def wait_for_wearer(self) -> None:
        await self._here.wait()

    async def show(self, kind: str, text: str, note: str = "") -> float:
        self._number += 1
        number = self._number
        painted = self._painted[number] = asyncio.get_running_loop().create_future()
        self._last = json.dumps(
            {"show": number, "kind": kind, "text": text, "note": note, "at": time.time() + _AHEAD_S}
        )
        try:
            await self._send()
            async with asyncio.timeout(_PAINT_S if self._here.is_set() else _COME_BACK_S):
                seen_s = await painted
                return float(seen_s)
        except TimeoutError:
            raise DisplayLost(
                "the page paints nothing: bring its tab to the front, and keep its screen on"
                if self._here.is_set()
                else f"the page was closed and did not come back within {_COME_BACK_S:g} s"
            ) from None
        finally:
            del self._painted[number]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _send(self) -> None:
        from websockets.exceptions import ConnectionClosed

        page = self._page
        if page is None:
            return  # it is sent when the page comes back
        try:
            await page.send(self._last)
        except ConnectionClosed:
            return

    async def _serve(self, connection: Any) -> None:
        """Answers for the time, and for what was painted; a page with a clock that agrees says `ready`."""
        try:
            async for message in connection:
                said = _words(message)
                if "ask" in said:
                    await connection.send(json.dumps({"asked": said["ask"], "time": time.time()}))
                elif "ready" in said:
                    self._page = connection
                    self._here.set()
                    if self._last:
                        await connection.send(self._last)
                elif "painted" in said:
                    waiting = self._painted.get(int(said["painted"]))
                    if waiting is not None and not waiting.done() and isinstance(said.get("at"), int | float):
                        waiting.set_result(float(said["at"]))
        finally:
            if self._page is connection:
                self._page = None
                self._here.clear()


def _words(message: str | bytes) -> dict[str, Any]:
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _answer(connection: Any, request: Any) -> Any:
    """The page itself; the websocket's own handshake goes on."""
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    if "upgrade" in request.headers.get("Connection", "").lower():
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            return connection.respond(HTTPStatus.FORBIDDEN, "only this server's own page may answer for a wearer\n")
        return None
    if request.path not in ("/", "/index.html"):
        return connection.respond(HTTPStatus.NOT_FOUND, "there is only one page here: /\n")
    body = (files("device_agent.cueing") / "page.html").read_bytes()
    headers = Headers({**_HEADERS, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, body)
