"""The outbox's database: how it is opened, by whom, and brought up to date."""

from __future__ import annotations

import base64
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from device_agent.sealing import Seal
from schemas.base import Name
from schemas.errors import UserError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (boot, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relayed (
    n INTEGER PRIMARY KEY, device TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL,
    UNIQUE (device, boot, seq, what));
CREATE TABLE IF NOT EXISTS command (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
"""
#: In version 1 these two did not know which of their rows was the oldest, and could only grow.
_FROM_VERSION_1 = (
    "ALTER TABLE relayed RENAME TO relayed_1",
    "ALTER TABLE command RENAME TO command_1",
    *_SCHEMA.split(";"),
    "INSERT INTO relayed (device, boot, seq, what) SELECT device, boot, seq, what FROM relayed_1 ORDER BY boot, seq",
    "INSERT INTO command (id) SELECT id FROM command_1",
    "DROP TABLE relayed_1",
    "DROP TABLE command_1",
)
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks."""

    site: Name
    device: Name
    wearer: Name | None


def place(boot: int, seq: int, kind: str) -> str:
    """What a sealed message is bound to."""
    return f"message {boot}/{seq} {kind}"


def sealed(seal: Seal | None, content: bytes, where: str) -> bytes:
    """Encrypted where there is a key; `where` is bound to it, so that it opens in no other place."""
    return content if seal is None else seal.seal(content, where)


def opened(seal: Seal | None, content: bytes, where: str) -> bytes:
    """The reverse of `sealed`. Raises UserError for another key, another place or altered content."""
    return content if seal is None else seal.open(content, where)


def sealed_text(seal: Seal | None, text: str, where: str) -> str:
    """As `sealed`, for a column of text."""
    return text if seal is None else base64.b64encode(seal.seal(text.encode(), where)).decode()


def opened_text(seal: Seal | None, text: str, where: str) -> str:
    """The reverse of `sealed_text`."""
    return text if seal is None else seal.open(base64.b64decode(text), where).decode()


def open_database(folder: Path, identity: Identity, seal: Seal | None = None) -> tuple[sqlite3.Connection, int]:
    """The database, and the number of this boot. Raises UserError when it is another's, or cannot be used."""
    path = folder / "outbox.db"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
        try:
            return db, _take_up(db, path, identity, seal)
        except BaseException:
            db.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise UserError(f"{path}: another agent uses this --state-dir: stop it, or choose another") from None
        raise UserError(f"{path}: cannot be opened ({error}): check --state-dir") from None
    except (sqlite3.DatabaseError, OSError) as error:
        raise UserError(f"{path}: cannot be used as outbox ({error}): check --state-dir, or choose another") from None


def _take_up(db: sqlite3.Connection, path: Path, identity: Identity, seal: Seal | None) -> int:
    # One owner: a second agent on the same folder is told so, instead of both giving out the same numbers.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA journal_size_limit=4000000")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > _VERSION:
        raise UserError(
            f"{path}: is of version {version}, this agent reads up to {_VERSION}: choose another --state-dir"
        )
    for statement in _FROM_VERSION_1 if version == 1 else _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={_VERSION}")
    boot = _count_boot(db, path, identity)
    taken_along = _seal_all(db, path, seal)
    db.execute("COMMIT")
    if taken_along:  # what was there in the clear must not stay behind in free pages and in the log
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return boot


def _seal_all(db: sqlite3.Connection, path: Path, seal: Seal | None) -> bool:
    """Seal what is in the clear; True when there was anything. Raises UserError when the key is not this outbox's."""
    known = meta(db, "key")
    if known is not None and seal is None:
        raise UserError(f"{path} is encrypted: give --key-file, or choose another --state-dir")
    if seal is None:
        return False
    if known is not None:
        if known != seal.key_id:
            raise UserError(f"{path} is encrypted with another key than --key-file holds")
        return False
    db.execute("PRAGMA secure_delete=ON")
    rows = db.execute("SELECT boot, seq, kind, payload FROM message").fetchall()
    db.executemany(
        "UPDATE message SET payload = ? WHERE boot = ? AND seq = ?",
        [(seal.seal(bytes(payload), place(boot, seq, kind)), boot, seq) for boot, seq, kind, payload in rows],
    )
    state = meta(db, "state")
    if state is not None:
        db.execute("UPDATE meta SET value = ? WHERE key = 'state'", (sealed_text(seal, state, "state"),))
    db.execute("INSERT INTO meta VALUES ('key', ?)", (seal.key_id,))
    return bool(rows) or state is not None


def meta(db: sqlite3.Connection, key: str) -> str | None:
    """One of the file's own settings."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _count_boot(db: sqlite3.Connection, path: Path, identity: Identity) -> int:
    """One more than the last. The first is the time in seconds: numbers of a state folder that was lost, and stand in
    the supervisor's store, are not given out again."""
    owner = f"{identity.site}/{identity.device}"
    known = meta(db, "owner")
    if known not in (None, owner):
        raise UserError(f"{path}: belongs to {known}, not to {owner}: choose another --state-dir")
    last = meta(db, "boot")
    boot = int(time.time()) if last is None else int(last) + 1
    for key, value in (("owner", owner), ("boot", str(boot))):
        db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )
    return boot
