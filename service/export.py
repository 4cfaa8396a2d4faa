"""A store's rows as files: one for each noun, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from schemas.errors import UserError
from service.store import tables
from service.store.place import find_place
from service.tensorboard import write_tensorboard

#: Name of the file and its table; each row begins with what every message has.
NOUNS = {
    "telemetry": tables.telemetry,
    "drift": tables.drift_alerts,
    "adaptations": tables.adaptations,
    "faults": tables.faults,
    "states": tables.states,
    "health": tables.health,
    "replies": tables.replies,
    "telemetry_hours": None,
}
_AT_ONCE = 10_000

Row = Sequence[Any]
Write = Callable[[Sequence[Row]], None]


def export(
    store: str,
    folder: Path,
    form: str,
    nouns: Sequence[str],
    *,
    since: datetime | None,
    progress: Callable[[int], None],
) -> dict[str, int]:
    """Rows by noun. A file has its name only when it is whole. The store may be in use meanwhile."""
    place = find_place(store)
    if place.path is not None and not place.path.exists():
        raise UserError(f"store {place.shown}: there is no such file")
    if form == "parquet":
        _need_parquet()
    if form != "tensorboard":
        folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    engine = create_engine(place.writing)
    try:
        with engine.connect().execution_options(stream_results=True, yield_per=_AT_ONCE) as connection:
            if form == "tensorboard":
                return {"adaptations": write_tensorboard(connection, folder, since, progress)}
            for noun in nouns:
                counts[noun] = _export_one(connection, noun, folder / f"{noun}.{form}", form, since, progress)
    except SQLAlchemyError as error:
        raise UserError(
            f"store {place.shown}: cannot be read ({getattr(error, 'orig', error)}); {place.advice}"
        ) from None
    finally:
        engine.dispose()
    return counts


def _export_one(
    connection: Connection, noun: str, path: Path, form: str, since: datetime | None, progress: Callable[[int], None]
) -> int:
    query = _query(noun, since)
    names = [column.name for column in query.selected_columns]
    part = path.with_name(path.name + ".part")
    count = 0
    with (_csv_file if form == "csv" else _parquet_file)(part, names, query) as write:
        for rows in connection.execute(query).partitions(_AT_ONCE):
            write(rows)
            count += len(rows)
            progress(len(rows))
    part.replace(path)
    return count


def _query(noun: str, since: datetime | None) -> Select[Any]:
    table = NOUNS[noun]
    if table is None:
        hours = tables.telemetry_hours
        query = select(hours).order_by(hours.c.hour, hours.c.site, hours.c.device)
        return query if since is None else query.where(hours.c.hour >= since)
    heads = [tables.messages.c[name] for name in ("site", "device", "wearer", "boot", "seq", "time", "received")]
    body = [column for column in table.c if column.name != "message_id"]
    query = select(*heads, *body).join(table, table.c.message_id == tables.messages.c.id).order_by(tables.messages.c.id)
    return query if since is None else query.where(tables.messages.c.received >= since)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


@contextmanager
def _csv_file(path: Path, names: Sequence[str], query: Select[Any]) -> Iterator[Write]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                writer.writerow([v.isoformat() if isinstance(v, datetime) else _plain(v) for v in row])

        yield write


@contextmanager
def _parquet_file(path: Path, names: Sequence[str], query: Select[Any]) -> Iterator[Write]:
    """Types follow the columns, so that an empty file has them too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", tz="UTC")}
    schema = pa.schema(
        [(column.name, types.get(_python_type(column), pa.string())) for column in query.selected_columns]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def write(rows: Sequence[Row]) -> None:
            columns = [[_plain(row[place]) for row in rows] for place in range(len(names))]
            writer.write_table(pa.table(columns, schema=schema))

        yield write


def _python_type(column: Any) -> type:
    found: type = getattr(column.type, "impl_instance", column.type).python_type
    return found


def _need_parquet() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError("Parquet needs pyarrow: pip install 'biotrain[parquet]', or --format csv") from None
