"""Server-sent events: what has just been stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import StreamingResponse

from schemas.base import Name
from service.api.context import Context
from service.feed import LiveEvent, Subscriber
from service.store.series import StoredRow, all_after

#: A comment this often keeps proxies from closing the stream.
_KEEP_ALIVE_S = 15.0
#: Rows of one query while catching up.
_PAGE = 1000


def router(context: Context) -> APIRouter:
    """What is stored and raised, as server-sent events."""
    routes = APIRouter(prefix="/api", tags=["live"])

    @routes.get(
        "/live",
        summary="Messages as they are stored, alerts as they are raised",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "too many readers"}},
    )
    async def live(
        site: Annotated[Name | None, Query(description="only this site's")] = None,
        device: Annotated[Name | None, Query(description="only this device's")] = None,
        after: Annotated[int | None, Query(ge=0, description="first, everything stored after this `id`")] = None,
        last_event_id: Annotated[str | None, Header(description="set by browsers that come back")] = None,
    ) -> StreamingResponse:
        """The event's name is the kind; its data has `id`, `kind`, `site`, `device` and `message`."""
        if context.feed.is_full:
            raise HTTPException(503, "too many readers of the live stream; close one")
        start = int(last_event_id) if last_event_id and last_event_id.isdecimal() else after
        return StreamingResponse(
            _stream(context, site, device, start),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return routes


async def _stream(context: Context, site: str | None, device: str | None, start: int | None) -> AsyncIterator[str]:
    with context.feed.subscribe() as subscriber:
        yield "retry: 1000\n\n"
        reached = 0
        if start is not None:
            reached = start
            while rows := await all_after(context.database, reached, site=site, device=device, limit=_PAGE):
                reached = rows[-1].id
                yield "".join(_render(_from_row(row)) for row in rows)
        async for events in _events(subscriber):
            if not events:
                yield ": still here\n\n"
            elif wanted := [_render(event) for event in events if _is_wanted(event, site, device, reached)]:
                yield "".join(wanted)


def _is_wanted(event: LiveEvent, site: str | None, device: str | None, reached: int) -> bool:
    if event.id and event.id <= reached:
        return False
    return (site is None or event.site == site) and (device is None or event.device == device)


async def _events(subscriber: Subscriber) -> AsyncIterator[list[LiveEvent]]:
    """An empty list when nothing has happened for a while."""
    while True:
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                events = await subscriber.get_all()
        except TimeoutError:
            yield []
            continue
        if there := [event for event in events if event is not None]:
            yield there
        if None in events:
            return


def _from_row(row: StoredRow) -> LiveEvent:
    return LiveEvent(row.id, row.kind, row.site, row.device, row.payload)


def _render(event: LiveEvent) -> str:
    identity = f"id: {event.id}\n" if event.id else ""
    data = (
        f'{{"id":{event.id},"kind":"{event.kind}","site":"{event.site}","device":"{event.device}",'
        f'"message":{event.data}}}'
    )
    # A payload may have been published with line breaks; each line of an event carries its own mark.
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {event.kind}\n{identity}{lines}\n"
