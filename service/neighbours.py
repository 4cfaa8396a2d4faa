"""The live stream also shows what the other supervisors have stored."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.feed import Feed, LiveEvent
from service.store.database import Database
from service.store.neighbours import News, hear_neighbours
from service.store.tables import messages
from service.store.tables_operations import alerts

_log = structlog.get_logger("service.neighbours")

_RETRY_S = 1.0
#: A range of ids is read in one piece; a larger one is not worth showing.
_LONGEST = 5000


async def follow_neighbours(database: Database, instance: str, feed: Feed) -> None:
    """For ever. A reader may see a message twice, and knows it by its number."""
    import psycopg

    while True:
        try:
            async for news in hear_neighbours(database):
                if news.teller != instance and feed.readers:
                    await _show(database, news, feed)
        except (psycopg.Error, DBAPIError, SQLAlchemyError, OSError) as error:
            _log.warning("what other supervisors store is not shown live for now", reason=str(error)[:300])
        await asyncio.sleep(_RETRY_S)


async def _show(database: Database, news: News, feed: Feed) -> None:
    query = (
        select(messages.c.id, messages.c.kind, messages.c.site, messages.c.device, messages.c.payload)
        .where(messages.c.id.between(news.first, news.last))
        .order_by(messages.c.id)
        .limit(_LONGEST)
    )
    async with database.read() as connection:
        feed.publish(LiveEvent(*row) for row in (await connection.execute(query)).all())
        if news.alerts:
            found = select(alerts.c.site, alerts.c.device, alerts.c.payload).where(alerts.c.id.in_(news.alerts))
            feed.publish(LiveEvent(0, "alert", *row) for row in (await connection.execute(found)).all())
