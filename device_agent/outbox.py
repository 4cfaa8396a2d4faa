"""Everything the agent has to say, kept in SQLite until the supervisor has said that it is stored.

A message gets its number (boot, seq), is written and is bound to what caused it (an entry of the wearable's log, a
command) in one transaction, together with the agent's own state: after a crash at any instant the two agree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from device_agent.disk import Disk
from device_agent.event_log import EventLog
from device_agent.outbox_file import Identity, meta, open_database, opened, opened_text, place, sealed, sealed_text
from device_agent.quota import NEWEST_KEPT, Load, Pressure, Row, next_pressure, thin
from device_agent.sealing import Seal
from schemas.base import Sequenced
from schemas.fault import FaultKind
from schemas.messages import SEQUENCED
from schemas.stored import SeqRange
from schemas.topics import Kind

__all__ = ["Counts", "DeviceEntry", "Draft", "Identity", "Outbox", "Pending"]
_THINNABLE = (Kind.TELEMETRY, Kind.HEALTH)
#: What a message takes in the file besides its payload.
_ROW_BYTES = 48
#: Log entries and commands that are known again. A wearable repeats only what it was never told to forget, a broker
#: only what was not acknowledged: far fewer.
_REMEMBERED = 20_000

_log = structlog.get_logger("agent")


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


@dataclass(slots=True)
class Counts:
    """Since the outbox was made."""

    given: int = 0
    stored: int = 0
    thinned: int = 0


class Outbox:
    """Open with `Outbox.open`. Synchronous; call it from one thread at a time."""

    def __init__(
        self,
        identity: Identity,
        boot: int,
        quota_bytes: int,
        db: sqlite3.Connection,
        log: EventLog,
        disk: Disk,
        seal: Seal | None,
    ) -> None:
        self.identity, self.boot, self.quota_bytes = identity, boot, quota_bytes
        self._db, self._log, self._disk, self._seal = db, log, disk, seal
        self._seq = 0
        self.newest_state = (0, 0)
        """(boot, seq) of the newest state message: the only one that a broker should retain."""
        self.counts = Counts(*(int(meta(db, name) or 0) for name in ("given", "stored", "thinned")))
        self.pressure = Pressure(meta(db, "pressure") or Pressure.NONE)
        self.load = self._weigh("1")

    @classmethod
    def open(
        cls, folder: Path, identity: Identity, *, quota_bytes: int = 64_000_000, seal: Seal | None = None
    ) -> Outbox:
        """Count one more boot. `quota_bytes`: what messages may take while no supervisor stores them.

        With `seal` messages and state are encrypted on the disk; what an outbox holds already is taken along.
        """
        db, boot = open_database(folder, identity, seal)
        disk = Disk(folder)
        disk.hold_back()
        return cls(identity, boot, quota_bytes, db, EventLog(folder), disk, seal)

    @property
    def last_seq(self) -> int:
        return self._seq

    @property
    def pending_count(self) -> int:
        """Messages not yet acknowledged as stored."""
        return self.load.messages

    @property
    def full(self) -> bool:
        """Events alone come near the quota, or the disk is nearly full: nothing that makes more events may begin."""
        return self.pressure is Pressure.FULL

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
        Raises sqlite3.OperationalError when the disk takes nothing any more, not even from the reserve.
        """
        disk_low = self._disk.low
        try:
            return self._put(drafts, state, entry, command, disk_low)
        except sqlite3.OperationalError as error:
            if "full" not in str(error) or not self._disk.give_up_reserve():
                raise
            _log.error("the disk is full; the reserve is being used", folder=str(self._disk.folder))
            return self._put(drafts, state, entry, command, True)

    def _put(
        self,
        drafts: Sequence[Draft],
        state: str | None,
        entry: DeviceEntry | None,
        command: str | None,
        disk_low: bool,
    ) -> list[Sequenced] | None:
        messages: list[Sequenced] = []
        with self._transaction():
            if entry is not None and not self._first_time(
                "relayed (device, boot, seq, what)", (entry.device, entry.boot, entry.seq, entry.what)
            ):
                return None
            if command is not None and not self._first_time("command (id)", (command,)):
                return None
            seq, load = self._seq, self.load
            for draft in drafts:
                seq += 1
                message, size = self._write(draft, seq)
                messages.append(message)
                load = load.plus(size, event=draft.kind not in _THINNABLE)
            pressure, doomed = self._relieve(load, disk_low)
            if doomed:
                load = load.plus(-sum(row.size for row in doomed), event=False, messages=-len(doomed))
                self._db.executemany(
                    "DELETE FROM message WHERE boot = ? AND seq = ?", [(row.boot, row.seq) for row in doomed]
                )
                self._set("thinned", self.counts.thinned + len(doomed))
            # When it is full each new telemetry message takes an old one's place; that is told once, not each time.
            if pressure is not self.pressure or (doomed and pressure is Pressure.THINNED):
                seq += 1
                message, size = self._tell(pressure, doomed, seq, disk_low)
                messages.append(message)
                load = load.plus(size, event=True)
                self._set("pressure", pressure)
            self._set("given", self.counts.given + len(messages))
            if state is not None:
                self._set("state", sealed_text(self._seal, state, "state"))
        self._seq, self.load = seq, load
        self.counts.given += len(messages)
        self.counts.thinned += len(doomed)
        changed, self.pressure = pressure is not self.pressure, pressure
        if changed:
            self._say(pressure)
            if pressure is Pressure.NONE:
                self._disk.hold_back()
        states = [message.seq for message in messages if isinstance(message, SEQUENCED[Kind.STATE])]
        if states:
            self.newest_state = (self.boot, states[-1])
        thinnable = tuple(SEQUENCED[kind] for kind in _THINNABLE)
        self._log.append([message for message in messages if not isinstance(message, thinnable)])
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
        kept = meta(self._db, "state")
        return None if kept is None else opened_text(self._seal, kept, "state")

    def pending(self, after: tuple[int, int] = (0, 0), limit: int = 100) -> list[Pending]:
        """Unacknowledged messages, oldest first, behind (boot, seq) `after`."""
        rows = self._db.execute(
            "SELECT boot, seq, kind, payload FROM message WHERE (boot, seq) > (?, ?) ORDER BY boot, seq LIMIT ?",
            (*after, limit),
        )
        return [
            Pending(boot, seq, Kind(kind), opened(self._seal, bytes(payload), place(boot, seq, kind)))
            for boot, seq, kind, payload in rows
        ]

    def acknowledge(self, ranges: Sequence[SeqRange]) -> int:
        """Forget what the supervisor has stored; how many messages that were."""
        behind, load = "boot = ? AND seq BETWEEN ? AND ?", self.load
        with self._transaction():
            for r in ranges:
                place = (r.boot, r.first, r.last)
                gone = self._weigh(behind, place)
                self._db.execute(f"DELETE FROM message WHERE {behind}", place)  # noqa: S608  our own words
                load = Load(load.messages - gone.messages, load.total - gone.total, load.events - gone.events)
            count = self.load.messages - load.messages
            self._set("stored", self.counts.stored + count)
        self.counts.stored += count
        self.load = load
        return count

    def close(self) -> None:
        self._db.close()
        self._log.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself when the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _first_time(self, table: str, values: tuple[object, ...]) -> bool:
        marks = ", ".join("?" * len(values))
        cursor = self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)  # noqa: S608  our own names
        if cursor.rowcount == 1 and cursor.lastrowid is not None:
            name = table.partition(" ")[0]
            self._db.execute(f"DELETE FROM {name} WHERE n <= ?", (cursor.lastrowid - _REMEMBERED,))  # noqa: S608
        return cursor.rowcount == 1

    def _write(self, draft: Draft, seq: int) -> tuple[Sequenced, int]:
        """The message, and what it takes of the quota."""
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
        payload = sealed(self._seal, message.to_json(), place(self.boot, seq, draft.kind))
        self._db.execute("INSERT INTO message VALUES (?, ?, ?, ?)", (self.boot, seq, str(draft.kind), payload))
        return message, len(payload) + _ROW_BYTES

    def _relieve(self, load: Load, disk_low: bool) -> tuple[Pressure, list[Row]]:
        """The pressure from here on, and the telemetry that has to go."""
        pressure = next_pressure(self.pressure, load, limit=self.quota_bytes, disk_low=disk_low)
        if pressure is Pressure.FULL:
            rows = self._thinnable()
            return pressure, rows[:-NEWEST_KEPT] if len(rows) > 2 * NEWEST_KEPT else []
        if load.total > self.quota_bytes:
            return pressure, thin(self._thinnable(), load, limit=self.quota_bytes)
        return pressure, []

    def _thinnable(self) -> list[Row]:
        rows = self._db.execute(
            "SELECT boot, seq, LENGTH(payload) + ? FROM message WHERE kind IN (?, ?) ORDER BY boot, seq",
            (_ROW_BYTES, *map(str, _THINNABLE)),
        )
        return [Row(*row) for row in rows]

    def _weigh(self, condition: str, values: tuple[int, ...] = ()) -> Load:
        load = Load()
        rows = self._db.execute(
            f"SELECT kind, COUNT(*), SUM(LENGTH(payload)) FROM message WHERE {condition} GROUP BY kind",  # noqa: S608
            values,
        )
        for kind, count, size in rows:
            load = load.plus(size + count * _ROW_BYTES, event=Kind(kind) not in _THINNABLE, messages=count)
        return load

    def _tell(self, pressure: Pressure, doomed: Sequence[Row], seq: int, disk_low: bool) -> tuple[Sequenced, int]:
        thinned = ""
        if doomed:
            first, last = doomed[0], doomed[-1]
            thinned = (
                f"{len(doomed)} telemetry and health messages between {first.boot}/{first.seq} and "
                f"{last.boot}/{last.seq} were left out. "
            )
        quota = f"the outbox may hold {self.quota_bytes / 1e6:g} MB"
        detail = {
            Pressure.NONE: f"there is room again; {self.counts.thinned + len(doomed)} messages were left out so far",
            Pressure.THINNED: f"{thinned}Nobody has stored them, and {quota}",
            Pressure.FULL: f"{thinned}No adaptation begins until a supervisor has stored what there is: "
            + ("the disk is nearly full" if disk_low else f"events alone fill it, {quota}"),
        }[pressure]
        fields = {"fault": FaultKind.DISK_FULL, "active": pressure is not Pressure.NONE, "window": 0, "detail": detail}
        return self._write(Draft(Kind.FAULT, fields), seq)

    def _say(self, pressure: Pressure) -> None:
        """Loudly, where the agent runs: the event itself may not get out for a while."""
        match pressure:
            case Pressure.FULL:
                _log.error(
                    "the outbox is full: no adaptation begins until a supervisor has stored what it holds",
                    held_mb=round(self.load.total / 1e6, 3),
                    quota_mb=self.quota_bytes / 1e6,
                    disk_free_mb=round(self._disk.free_bytes / 1e6),
                )
            case Pressure.THINNED:
                _log.warning("telemetry is being thinned: nobody stores it", quota_mb=self.quota_bytes / 1e6)
            case Pressure.NONE:
                _log.info("the outbox has room again")

    def _set(self, key: str, value: object) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, str(value))
        )
