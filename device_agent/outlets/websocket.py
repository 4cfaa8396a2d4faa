"""Predictions as JSON over a websocket on this computer; applications may send labels back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.outlets.outlet import Outlet, TakeLabel, Told
from device_agent.sources.source import LateLabel
from schemas.errors import UserError

_log = structlog.get_logger("agent")
_WAITING = 64
"""Predictions that wait for a slow reader; then the oldest is missed."""
_MOST_BYTES = 1_000
"""A label is short."""
#: Programs send no origin. A page from elsewhere, open in the same browser, must not listen in or send labels.
_ORIGINS = [None, re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")]


class _Label(BaseModel):
    model_config = ConfigDict(extra="forbid")

    window: int = Field(ge=0)
    label: str


class WebsocketOutlet(Outlet):
    """Sends each prediction, as JSON, to whoever is connected; a reader that is slow misses some, and delays
    nothing.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: Any = None
        self._classes: tuple[str, ...] = ()
        self._readers: set[asyncio.Queue[str]] = set()
        self.missed = 0

    @property
    def address(self) -> str:
        return f"ws://{self._host}:{self._port}"

    async def open(self, classes: tuple[str, ...], take_label: TakeLabel) -> None:
        from websockets.asyncio.server import serve

        self._classes, self._take_label = classes, take_label
        try:
            self._server = await serve(
                self._serve,
                self._host,
                self._port,
                max_size=_MOST_BYTES,
                origins=_ORIGINS,
                compression=None,
                close_timeout=1,
            )
        except OSError as error:
            raise UserError(
                f"--predictions {self.address}: cannot listen there ({error.strerror or error}): choose another port"
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]

    def tell(self, told: Told) -> None:
        if not self._readers:
            return
        line = json.dumps(
            {
                "window": told.window,
                "time": round(told.ended_s, 6),
                "class": told.classes[told.predicted],
                "confidence": round(told.confidence, 6),
                "probabilities": [round(p, 6) for p in told.probabilities],
                "weights_version": told.weights_version,
                "faulty": told.faulty,
            }
        )
        for waiting in self._readers:
            if waiting.full():
                waiting.get_nowait()
                self.missed += 1
            waiting.put_nowait(line)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, connection: Any) -> None:
        waiting: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        sender = asyncio.create_task(_send(connection, waiting), name="predictions")
        await connection.send(json.dumps({"classes": self._classes}))
        self._readers.add(waiting)
        try:
            async for message in connection:
                error = await self._label(message)
                if error:
                    await connection.send(json.dumps({"error": error}))
        finally:
            self._readers.discard(waiting)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def _label(self, message: str | bytes) -> str:
        """Take a label; what is wrong with it, or nothing."""
        try:
            label = _Label.model_validate_json(message)
        except ValidationError as error:
            return f'expected {{"window": NUMBER, "label": CLASS}}: {error.errors(include_url=False)[0]["msg"]}'
        if label.label not in self._classes:
            return f"label {label.label!r} is no class: {', '.join(self._classes)}"
        await self._take_label(LateLabel(label.window, self._classes.index(label.label)))
        return ""


async def _send(connection: Any, waiting: asyncio.Queue[str]) -> None:
    while True:
        await connection.send(await waiting.get())
