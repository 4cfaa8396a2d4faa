"""Everything the agent has to say, kept in SQLite until the supervisor has said that it is stored.

A message gets its number (boot, seq), is written and is bound to what caused it (an entry of the wearable's log, a
command) in one transaction, together with the agent's own state: after a crash at any instant the two agree.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.base import Name, Sequenced
from schemas.errors import UserError
from schemas.fault import FaultKind
from schemas.messages import SEQUENCED
from schemas.stored import SeqRange
from schemas.topics import Kind

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (boot, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS relayed (
    device TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL,
    PRIMARY KEY (device, boot, seq, what)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS command (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_VERSION = 1
_THINNABLE = (Kind.TELEMETRY, Kind.HEALTH)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it has a number: its kind, and the fields that are its own."""

    kind: Kind
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """An entry of a wearable's log. `what` tells it from an entry of the same number after the log was wiped."""

    device: str
    boot: int
    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that is not acknowledged yet."""

    boot: int
    seq: int
    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks."""

    site: Name
    device: Name
    wearer: Name | None


@dataclass(slots=True)
class Counts:
    """Since the outbox was made."""

    given: int = 0
    stored: int = 0
    thinned: int = 0


@dataclass(slots=True)
class Outbox:
    """Open with `Outbox.open`. Synchronous; call it from one thread at a time."""

    identity: Identity
    boot: int
    quota: int
    _db: sqlite3.Connection
    _log: int
    _seq: int = 0
    _pending: int = 0
    newest_state: tuple[int, int] = (0, 0)
    """(boot, seq) of the newest state message: the only one that a broker should retain."""
    counts: Counts = field(default_factory=Counts)

    @classmethod
    def open(cls, folder: Path, identity: Identity, *, quota: int = 50_000) -> Outbox:
        """Count one more boot. `quota`: telemetry and health messages kept while no supervisor stores them."""
        path = folder / "outbox.db"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
            # One owner: a second agent on the same folder is told so, instead of both giving out the same numbers.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, _VERSION):
                raise UserError(
                    f"{path}: is of version {version}, this agent reads {_VERSION}: choose another --state-dir"
                )
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={_VERSION}")
            boot = _count_boot(db, path, identity)
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UserError(f"{path}: another agent uses this --state-dir: stop it, or choose another") from None
            raise UserError(f"{path}: cannot be opened ({error}): check --state-dir") from None
        except (sqlite3.DatabaseError, OSError) as error:
            raise UserError(
                f"{path}: cannot be used as outbox ({error}): check --state-dir, or choose another"
            ) from None
        log = os.open(folder / "events.jsonl", os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
        _end_torn_line(log)
        outbox = cls(identity, boot, quota, db, log)
        for name in ("given", "stored", "thinned"):
            setattr(outbox.counts, name, int(_meta(db, name) or 0))
        outbox._pending = int(db.execute("SELECT COUNT(*) FROM message").fetchone()[0])
        return outbox

    @property
    def last_seq(self) -> int:
        return self._seq

    @property
    def pending_count(self) -> int:
        """Messages not yet acknowledged as stored."""
        return self._pending

    def put(
        self,
        drafts: Sequence[Draft],
        *,
        state: str | None = None,
        entry: DeviceEntry | None = None,
        command: str | None = None,
    ) -> list[Sequenced] | None:
        """Keep messages, and with them what caused them and the agent's state, all or nothing.

        None, and nothing kept, when the log entry was relayed or the command was taken up before.
        """
        messages: list[Sequenced] = []
        with self._transaction():
            if entry is not None and not self._first_time(
                "INSERT OR IGNORE INTO relayed VALUES (?, ?, ?, ?)", (entry.device, entry.boot, entry.seq, entry.what)
            ):
                return None
            if command is not None and not self._first_time("INSERT OR IGNORE INTO command VALUES (?)", (command,)):
                return None
            seq = self._seq
            for draft in drafts:
                seq += 1
                messages.append(self._write(draft, seq))
            doomed = self._doomed() if any(draft.kind in _THINNABLE for draft in drafts) else []
            if doomed:
                seq += 1
                messages.append(self._thin(doomed, seq))
            self._set("given", self.counts.given + len(messages))
            if state is not None:
                self._set("state", state)
        self._seq = seq
        self.counts.given += len(messages)
        self.counts.thinned += len(doomed)
        self._pending += len(messages) - len(doomed)
        states = [message.seq for message in messages if isinstance(message, SEQUENCED[Kind.STATE])]
        if states:
            self.newest_state = (self.boot, states[-1])
        self._record(messages)
        return messages

    def was_relayed(self, entry: DeviceEntry) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM relayed WHERE device = ? AND boot = ? AND seq = ? AND what = ?",
            (entry.device, entry.boot, entry.seq, entry.what),
        ).fetchone()
        return found is not None

    def was_taken_up(self, command: str) -> bool:
        return self._db.execute("SELECT 1 FROM command WHERE id = ?", (command,)).fetchone() is not None

    def state(self) -> str | None:
        """The agent's state as last kept."""
        return _meta(self._db, "state")

    def pending(self, after: tuple[int, int] = (0, 0), limit: int = 100) -> list[Pending]:
        """Unacknowledged messages, oldest first, behind (boot, seq) `after`."""
        rows = self._db.execute(
            "SELECT boot, seq, kind, payload FROM message WHERE (boot, seq) > (?, ?) ORDER BY boot, seq LIMIT ?",
            (*after, limit),
        )
        return [Pending(boot, seq, Kind(kind), bytes(payload)) for boot, seq, kind, payload in rows]

    def acknowledge(self, ranges: Sequence[SeqRange]) -> int:
        """Forget what the supervisor has stored; how many messages that were."""
        with self._transaction():
            gone = sum(
                self._db.execute(
                    "DELETE FROM message WHERE boot = ? AND seq BETWEEN ? AND ?", (r.boot, r.first, r.last)
                ).rowcount
                for r in ranges
            )
            self._set("stored", self.counts.stored + gone)
        self.counts.stored += gone
        self._pending -= gone
        return gone

    def close(self) -> None:
        self._db.close()
        os.close(self._log)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _first_time(self, statement: str, values: tuple[object, ...]) -> bool:
        return self._db.execute(statement, values).rowcount == 1

    def _write(self, draft: Draft, seq: int) -> Sequenced:
        message = SEQUENCED[draft.kind].model_validate(
            {
                "site": self.identity.site,
                "device": self.identity.device,
                "wearer": self.identity.wearer,
                **draft.fields,
                "boot": self.boot,
                "seq": seq,
            }
        )
        self._db.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?)", (self.boot, seq, str(draft.kind), message.to_json())
        )
        return message

    def _doomed(self) -> list[tuple[int, int]]:
        """Above the quota: every second of the older telemetry and health messages. The newest quarter stays."""
        if self._pending < self.quota:  # cheap first look: it counts events too
            return []
        rows: list[tuple[int, int]] = self._db.execute(
            "SELECT boot, seq FROM message WHERE kind IN (?, ?) ORDER BY boot, seq", tuple(map(str, _THINNABLE))
        ).fetchall()
        return rows[: len(rows) - self.quota // 4][::2] if len(rows) > self.quota else []

    def _thin(self, doomed: list[tuple[int, int]], seq: int) -> Sequenced:
        self._db.executemany("DELETE FROM message WHERE boot = ? AND seq = ?", doomed)
        self._set("thinned", self.counts.thinned + len(doomed))
        (first_boot, first), (last_boot, last) = doomed[0], doomed[-1]
        detail = (
            f"{len(doomed)} telemetry and health messages between {first_boot}/{first} and {last_boot}/{last} were "
            f"left out: nobody has stored them, and the outbox holds {self.quota} at most"
        )
        fields = {"fault": FaultKind.DISK_FULL, "active": True, "window": 0, "detail": detail}
        return self._write(Draft(Kind.FAULT, fields), seq)

    def _set(self, key: str, value: object) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, str(value))
        )

    def _record(self, messages: Sequence[Sequenced]) -> None:
        """The agent's own log of events, for an independent checker: whatever stands there is in the outbox."""
        lines = [
            json.dumps(
                {
                    "boot": message.boot,
                    "seq": message.seq,
                    "schema": message.schema_name,
                    "time": message.time.isoformat(),
                    "device_event": message.device_event and message.device_event.model_dump(),
                }
            )
            for message in messages
            if not isinstance(message, tuple(SEQUENCED[kind] for kind in _THINNABLE))
        ]
        if lines:
            os.write(self._log, ("\n".join(lines) + "\n").encode())


def _meta(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _count_boot(db: sqlite3.Connection, path: Path, identity: Identity) -> int:
    """One more than the last. The first is the time in seconds: numbers of a state folder that was lost, and stand in
    the supervisor's store, are not given out again."""
    owner = f"{identity.site}/{identity.device}"
    known = _meta(db, "owner")
    if known not in (None, owner):
        raise UserError(f"{path}: belongs to {known}, not to {owner}: choose another --state-dir")
    last = _meta(db, "boot")
    boot = int(time.time()) if last is None else int(last) + 1
    for key, value in (("owner", owner), ("boot", str(boot))):
        db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )
    return boot


def _end_torn_line(log: int) -> None:
    """After a power cut the last line may have no end; the next must not be glued to it."""
    size = os.fstat(log).st_size
    if size and os.pread(log, 1, size - 1) != b"\n":
        os.write(log, b"\n")
