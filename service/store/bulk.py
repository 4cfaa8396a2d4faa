"""Many rows in few statements.

One statement with a hundred rows is one trip to the server, and in SQLite one stretch in which the interpreter is
free for the network. SQLAlchemy's own way converts every value in Python, which costs more than storing it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection

Values = Sequence[Any]

#: Few sizes, so that SQLite's prepared statements are found again; below its limit of 32,766 values.
_SIZES = (512, 128, 32, 8, 2, 1)


def insert_rows(
    connection: Connection, table: str, columns: tuple[str, ...], rows: Sequence[Values], then: str = ""
) -> list[Any]:
    """INSERT with `then` (ON CONFLICT, RETURNING) behind it; what it returns."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    back: list[Any] = []
    for part in _parts(rows):
        statement = _statement(mark, table, columns, len(part), then)
        result = connection.exec_driver_sql(statement, tuple(chain.from_iterable(part)))
        if result.returns_rows:
            back += result.fetchall()
    return back


@lru_cache(maxsize=256)
def _statement(mark: str, table: str, columns: tuple[str, ...], rows: int, then: str) -> str:
    row = "(" + ",".join([mark] * len(columns)) + ")"
    names = ",".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES {','.join([row] * rows)} {then}"  # noqa: S608


def _parts(rows: Sequence[Values]) -> Iterator[Sequence[Values]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


class Form:
    """How the driver of a dialect wants values that it does not know."""

    def __init__(self, connection: Connection) -> None:
        self._is_sqlite = connection.dialect.name == "sqlite"
        #: The larger of two values.
        self.greatest = "max" if self._is_sqlite else "greatest"

    def time(self, value: datetime) -> Any:
        """SQLite: as SQLAlchemy's DateTime writes it."""
        if not self._is_sqlite:
            return value
        text = value.isoformat(" ", "microseconds")
        if not text.endswith("+00:00"):  # nearly all of them are UTC as they come
            text = value.astimezone(UTC).isoformat(" ", "microseconds")
        return text[:26]

    def value(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return self.time(value)
        if isinstance(value, list | dict):
            return json.dumps(value)
        return value
