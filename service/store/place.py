"""Where a store is: an SQLite file, locked for one supervisor, or a PostgreSQL database that several share."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from schemas.errors import UserError

_EXAMPLES = "sqlite:///biotrain.db or postgresql://user@host/biotrain"


@dataclass(frozen=True, slots=True)
class Place:
    """`path` is None for a server. `shown` has no password."""

    reading: URL
    writing: URL
    path: Path | None
    shown: str

    @property
    def advice(self) -> str:
        if self.path is not None:
            return "name another file, or move this one away"
        return "is the server there, the database created, and the user allowed?"


def find_place(url: str) -> Place:
    """Raises UserError for what is neither."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError(f"store {url!r} is not a database URL: write e.g. {_EXAMPLES}") from None
    shown = parsed.render_as_string(hide_password=True)
    match parsed.get_backend_name():
        case "sqlite":
            path = _path_of(parsed, shown)
            return Place(
                URL.create("sqlite+aiosqlite", database=str(path)),
                URL.create("sqlite+pysqlite", database=str(path)),
                path,
                shown,
            )
        case "postgresql" | "postgres":
            if find_spec("psycopg") is None:
                raise UserError(f"store {shown}: PostgreSQL needs its driver; pip install 'biotrain[postgres]'")
            server = parsed.set(drivername="postgresql+psycopg")
            return Place(server, server, None, shown)
        case other:
            raise UserError(f"store {shown}: {other} is not supported; SQLite and PostgreSQL are, e.g. {_EXAMPLES}")


def store_name(url: str) -> str:
    """Without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _path_of(parsed: URL, shown: str) -> Path:
    if not parsed.database or parsed.database == ":memory:":
        raise UserError(
            f"store {shown!r}: name a file, e.g. sqlite:///biotrain.db; what is kept must survive a restart"
        )
    path = Path(unquote(parsed.database)).absolute()
    if not path.parent.is_dir():
        raise UserError(f"store {shown}: the folder {path.parent} does not exist; create it first")
    return path


def take_lock(path: Path) -> IO[str]:
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
