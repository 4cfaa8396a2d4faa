"""Opens the database: one supervisor at a time, every commit on the disk before it is reported."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import unquote

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from schemas.errors import UserError
from service.store import tables


@dataclass(slots=True)
class Database:
    """Readers run beside each other and beside the writer; writers take turns."""

    url: str
    _path: Path = field(init=False)
    _engine: AsyncEngine = field(init=False)
    _lock: IO[str] | None = field(init=False, default=None)
    _writing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    async def __aenter__(self) -> Self:
        self._path = _path_of(self.url)
        if not self._path.parent.is_dir():
            raise UserError(f"store {self.url}: the folder {self._path.parent} does not exist; create it first")
        self._lock = _take_lock(self._path)
        self._engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(self._path)))
        event.listen(self._engine.sync_engine, "connect", _set_pragmas)
        try:
            await self._prepare()
        except DatabaseError as error:
            await self._close()
            raise UserError(
                f"store {self.url}: cannot be used as a database ({error.orig}); "
                "name another file, or move this one away"
            ) from None
        except UserError:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._close()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block, rolled back by an exception."""
        async with self._writing, self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    async def _prepare(self) -> None:
        async with self.write() as connection:
            version = int((await connection.execute(text("PRAGMA user_version"))).scalar_one())
            if version > tables.VERSION:
                raise UserError(
                    f"store {self.url} was written by a later version of biotrain "
                    f"(tables {version}, this one knows {tables.VERSION}): upgrade, or name another file"
                )
            await connection.run_sync(tables.metadata.create_all)
            await connection.execute(text(f"PRAGMA user_version = {tables.VERSION}"))

    async def _close(self) -> None:
        await self._engine.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError(f"store {url!r} is not a database URL: write e.g. sqlite:///biotrain.db") from None
    if parsed.get_backend_name() != "sqlite":
        raise UserError(f"store {url!r}: only SQLite is supported, e.g. sqlite:///biotrain.db")
    if not parsed.database or parsed.database == ":memory:":
        raise UserError(f"store {url!r}: name a file, e.g. sqlite:///biotrain.db; what is kept must survive a restart")
    return Path(unquote(parsed.database)).absolute()


def _take_lock(path: Path) -> IO[str]:
    """Held by the kernel for this process: a killed supervisor leaves no lock behind."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock = lock_path.open("a+")
    except OSError as error:
        raise UserError(f"store {path}: cannot write beside it ({error.strerror}); check the folder's rights") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise UserError(
            f"store {path} is in use by another supervisor (process {holder}): stop it, or name another file"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
