"""Opens the database, SQLite or PostgreSQL: every commit is on the disk before it is reported."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from schemas.errors import UserError
from service.store.migrate import LaterVersion, migrate
from service.store.place import Place, find_place, take_lock

T = TypeVar("T")
_DEAD_PEER = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
              "tcp_user_timeout": 20_000}  # fmt: skip
"""libpq's words for how long a PostgreSQL that no longer answers is believed in (s; the last one ms): a network that is
cut in the middle of a transaction ends it within half a minute, and the batch is written again."""


@dataclass(slots=True)
class Database:
    """Readers run beside each other and beside the writer. In SQLite writers take turns, in one process.

    What devices send is written in a thread of its own, one transaction at a time (`in_writer_thread`): its
    statements are long, and the interpreter is free while they run.
    """

    url: str
    place: Place = field(init=False)
    _engine: AsyncEngine = field(init=False)
    _writer: Engine = field(init=False)
    _thread: ThreadPoolExecutor = field(init=False)
    _lock: IO[str] | None = field(init=False, default=None)
    _writing: asyncio.Lock | None = field(init=False, default=None)

    async def __aenter__(self) -> Self:
        self.place = place = find_place(self.url)
        if place.path is not None:
            self._lock = take_lock(place.path)
            self._writing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        if place.path is not None:
            self._engine = create_async_engine(place.reading)
            self._writer = create_engine(place.writing)
            for engine in (self._engine.sync_engine, self._writer):
                event.listen(engine, "connect", _set_pragmas)
            event.listen(self._writer, "connect", _set_writer_pragmas)
        else:
            # A connection that the server has closed meanwhile is noticed before it is used.
            patient = {"client_encoding": "utf8", **_DEAD_PEER}
            self._engine = create_async_engine(place.reading, pool_pre_ping=True, pool_size=8, connect_args=patient)
            # The batches' statements are long and each is different in its types: nothing to prepare.
            self._writer = create_engine(
                place.writing, pool_pre_ping=True, pool_size=1, connect_args={**patient, "prepare_threshold": None}
            )
        try:
            await self.in_writer_thread(migrate)
        except LaterVersion as error:
            await self._close()
            raise UserError(f"store {place.shown} was written by a later version of biotrain ({error}): upgrade, or "
                            "name another one") from None  # fmt: skip
        except (DatabaseError, SQLAlchemyError, OSError) as error:
            await self._close()
            cause = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            raise UserError(f"store {place.shown}: cannot be used as a database ({cause}); {place.advice}") from None
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._close()

    @property
    def is_shared(self) -> bool:
        """Several supervisors may work on it at the same time."""
        return self.place.path is None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block, rolled back by an exception."""
        async with self._writing or contextlib.nullcontext(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    async def in_writer_thread(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction in the writer's thread. Cancelled or not, it ends whole or not at all."""

        def transaction() -> T:
            with self._writer.begin() as connection:
                return work(connection)

        async with self._writing or contextlib.nullcontext():
            # The lock of SQLite's one writer must not be given back while the thread is still at it.
            running = asyncio.get_running_loop().run_in_executor(self._thread, transaction)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                with contextlib.suppress(Exception):
                    await running
                raise

    async def _close(self) -> None:
        await self._engine.dispose()
        self._writer.dispose()
        self._thread.shutdown(wait=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_writer_pragmas(connection: Any, _record: Any) -> None:
    """Indices are written to at as many places as there are devices: their pages stay in memory between two batches.

    64 MB of cache, 16 MB of log before it is copied into the file; neither has to do with what is safe after a commit.
    """
    cursor = connection.cursor()
    for pragma in ("cache_size=-64000", "wal_autocheckpoint=4000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
