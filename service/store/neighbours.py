"""Supervisors on one PostgreSQL tell each other what they have stored (LISTEN and NOTIFY)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from service.store.batch import Written
from service.store.database import Database

_CHANNEL = "biotrain_stored"


@dataclass(frozen=True, slots=True)
class News:
    """Rows that another supervisor has committed; others' rows may lie in the same range."""

    teller: str
    first: int
    last: int
    alerts: tuple[int, ...]


def tell_neighbours(connection: Connection, teller: str, written: Written) -> None:
    """Within the transaction: it is heard when that is committed, and never otherwise."""
    if not written.messages:
        return
    ids = [new.id for new in written.messages]
    news = {"by": teller, "first": min(ids), "last": max(ids), "alerts": [one.id for one in written.alerts][:500]}
    connection.execute(text("SELECT pg_notify(:channel, :news)"), {"channel": _CHANNEL, "news": json.dumps(news)})


async def hear_neighbours(database: Database) -> AsyncIterator[News]:
    """Until the connection breaks: then it raises what psycopg does."""
    import psycopg

    url = database.place.reading.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {_CHANNEL}")
        async for notice in connection.notifies():
            fields = json.loads(notice.payload)
            yield News(fields["by"], fields["first"], fields["last"], tuple(fields["alerts"]))
