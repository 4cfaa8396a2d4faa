"""One batch of messages into the database, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, text

from schemas.base import utc_now
from schemas.command import Reply
from schemas.fault import Fault
from schemas.health import Health
from schemas.telemetry import Telemetry
from service.alerts import alerts_for, passed_with
from service.store import tables
from service.store.alert_rows import Channels, raise_alert, resolve
from service.store.batch import AlertChange, Arrived, Batch, Key, NewMessage, Poison, Written
from service.store.bulk import Form, insert_rows
from service.store.command_rows import take_reply
from service.store.desired import take_reported
from service.store.fleet import DeviceNews, news_of
from service.store.neighbours import tell_neighbours
from service.store.rows import NOUNS

#: The newest of what could not be understood; older ones make room.
QUARANTINE_ROWS = 10_000
_QUARANTINED_BYTES = 64_000
_MESSAGE = ("site", "device", "boot", "seq", "kind", "wearer", "time", "received", "payload")
_HOUR = ("rows", "windows", "windows_dropped", "windows_faulty", "labelled", "correct", "frozen_labelled",
         "frozen_correct")  # fmt: skip


def write_batch(connection: Connection, batch: Batch, channels: Channels, teller: str | None = None) -> Written:
    """Everything or nothing; what is already there is left as it is. Alerts are recorded with what raised them.

    Several supervisors write the same devices at the same time: rows are taken in the order of their keys, and what
    they count is added in the database. `teller` is the name under which the others hear of it.
    """
    written = Written()
    poison = list(batch.poison)
    if batch.arrived:
        form = Form(connection)
        written.messages, known = _insert_messages(connection, form, batch.arrived)
        written.duplicates = len(batch.arrived) - len(written.messages)
        conflicts = _conflicts(connection, known) if known else []
        written.conflicts = len(conflicts)
        poison += conflicts
        _insert_nouns(connection, form, written.messages)
        _add_to_hours(connection, form, written.messages)
        _add_to_boots(connection, form, written.messages)
        _update_devices(connection, form, batch.arrived)
        written.alerts = _change_alerts(connection, written.messages, channels)
        if teller is not None:
            tell_neighbours(connection, teller, written)
    for reported in batch.reported:
        take_reported(connection, reported)
    if poison:
        _quarantine(connection, poison)
        written.poison = poison
    return written


def _insert_messages(
    connection: Connection, form: Form, arrived: Sequence[Arrived]
) -> tuple[list[NewMessage], list[Arrived]]:
    """Those that are new, in the order of their ids, and those that were there."""
    by_key = {one.key: one for one in reversed(arrived)}
    is_sqlite = connection.dialect.name == "sqlite"
    # One writer: the order of arrival may stay.
    ordered = list(reversed(by_key.values())) if is_sqlite else sorted(by_key.values(), key=lambda one: one.key)
    rows = []
    time = form.time
    received: dict[datetime, Any] = {}
    for one in ordered:
        message = one.message
        if one.received not in received:
            received[one.received] = time(one.received)
        rows.append(
            (message.site, message.device, message.boot, message.seq, one.kind.value, message.wearer,
             time(message.time), received[one.received], one.payload)
        )  # fmt: skip
    if is_sqlite:
        before = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM messages").scalar_one()
        insert_rows(connection, "messages", _MESSAGE, rows, "ON CONFLICT DO NOTHING")
        count, last = connection.exec_driver_sql("SELECT count(*), max(id) FROM messages WHERE id > ?", (before,)).one()
        if count == len(rows):  # all are new, and the ids of one statement after the other count up
            first = last - count + 1
            return [NewMessage(first + place, one) for place, one in enumerate(ordered)], []
        # In one piece: row by row, each step would wait for the interpreter.
        new = connection.exec_driver_sql(
            "SELECT json_group_array(json_array(id, site, device, boot, seq)) FROM messages WHERE id > ?", (before,)
        ).scalar_one()
        ids = json.loads(new)
    else:
        back = "ON CONFLICT DO NOTHING RETURNING id, site, device, boot, seq"
        ids = insert_rows(connection, "messages", _MESSAGE, rows, back)
    messages = sorted(
        (NewMessage(row[0], by_key.pop((row[1], row[2], row[3], row[4]))) for row in ids), key=lambda new: new.id
    )
    return messages, list(by_key.values())


def _conflicts(connection: Connection, known: Sequence[Arrived]) -> list[Poison]:
    """Two devices under one name give out the same numbers: what the second one says is kept as well."""
    found: list[Poison] = []
    for start in range(0, len(known), 200):
        part = known[start : start + 200]
        there = _payloads(connection, [one.key for one in part])
        for one in part:
            if one.message.seq > 0 and there.get(one.key, one.payload) != one.payload:
                topic = f"biotrain/v1/{one.message.site}/{one.message.device}/{one.kind.value}"
                reason = f"number {one.message.boot}/{one.message.seq} was given out twice, with other content"
                found.append(Poison(topic, one.payload.encode(), reason, one.received))
    return found


def _payloads(connection: Connection, keys: Sequence[Key]) -> dict[Key, str]:
    """A join with the keys, each found in the index; a row of ORs would be planned longer than it is executed."""
    row = "(?,?,?,?)" if connection.dialect.name == "sqlite" else "(%s,%s,%s,%s)"
    query = (
        f"WITH k(site, device, boot, seq) AS (VALUES {','.join([row] * len(keys))}) "  # noqa: S608  marks alone
        "SELECT m.site, m.device, m.boot, m.seq, m.payload FROM k JOIN messages m "
        "ON m.site = k.site AND m.device = k.device AND m.boot = k.boot AND m.seq = k.seq"
    )
    rows = connection.exec_driver_sql(query, tuple(value for key in keys for value in key))
    return {(row.site, row.device, row.boot, row.seq): row.payload for row in rows}


def _insert_nouns(connection: Connection, form: Form, new: Iterable[NewMessage]) -> None:
    rows: dict[type, list[tuple[Any, ...]]] = {}
    for one in new:
        message = one.arrived.message
        rows.setdefault(type(message), []).append(NOUNS[type(message)].row(message, one.id))
    for of, of_type in rows.items():
        noun = NOUNS[of]
        if of not in (Telemetry, Health):
            of_type = [tuple(form.value(value) for value in row) for row in of_type]
        insert_rows(connection, noun.table, noun.columns, of_type)


def _add_to_hours(connection: Connection, form: Form, new: Iterable[NewMessage]) -> None:
    sums: dict[tuple[str, str, datetime], list[int]] = {}
    hours: dict[datetime, datetime] = {}
    for one in new:
        row = one.arrived.message
        if type(row) is not Telemetry:
            continue
        received = one.arrived.received
        hour = hours.get(received)
        if hour is None:
            hour = hours[received] = received.replace(minute=0, second=0, microsecond=0)
        key = (row.site, row.device, hour)
        known = sums.get(key)
        if known is None:
            known = sums[key] = [0] * len(_HOUR)
        frozen = row.frozen_correct
        # One by one, in the order of _HOUR: the loop over them would take as long as everything else here.
        known[0] += 1
        known[1] += row.windows
        known[2] += row.windows_dropped
        known[3] += row.windows_faulty
        known[4] += row.labelled
        known[5] += row.correct
        if frozen is not None:
            known[6] += row.labelled
            known[7] += frozen
    added = ", ".join(f'"{name}" = telemetry_hours."{name}" + excluded."{name}"' for name in _HOUR)
    rows = [(site, device, form.time(hour), *values) for (site, device, hour), values in sorted(sums.items())]
    then = f"ON CONFLICT (site, device, hour) DO UPDATE SET {added}"
    insert_rows(connection, "telemetry_hours", ("site", "device", "hour", *_HOUR), rows, then)


@dataclass(slots=True)
class _Boot:
    stored: int = 0
    newest: int = 0
    last_seq: int = 0
    told: datetime = field(default_factory=utc_now)


def _add_to_boots(connection: Connection, form: Form, new: Iterable[NewMessage]) -> None:
    boots: dict[tuple[str, str, int], _Boot] = {}
    for one in new:
        message = one.arrived.message
        if message.seq == 0:
            continue
        key = (message.site, message.device, message.boot)
        boot = boots.get(key)
        if boot is None:
            boot = boots[key] = _Boot()
        boot.stored += 1
        boot.told = one.arrived.received
        if message.seq > boot.newest:
            boot.newest = message.seq
        if isinstance(message, Health) and message.last_seq > boot.last_seq:
            boot.last_seq = message.last_seq
    columns = ("site", "device", "boot", "last_seq", "told", "stored", "newest")
    rows = [(*key, one.last_seq, form.time(one.told), one.stored, one.newest) for key, one in sorted(boots.items())]
    most = form.greatest
    then = (
        f"ON CONFLICT (site, device, boot) DO UPDATE SET last_seq = {most}(boots.last_seq, excluded.last_seq), "
        f"newest = {most}(boots.newest, excluded.newest), told = {most}(boots.told, excluded.told), "
        "stored = boots.stored + excluded.stored"
    )
    insert_rows(connection, "boots", columns, rows, then)


_DEVICE = ("site", "device", "first_seen", "last_seen", "connected", "boot", "wearer", "state", "state_boot",
           "state_seq", "health", "health_boot", "health_seq")  # fmt: skip


def _update_devices(connection: Connection, form: Form, arrived: Sequence[Arrived]) -> None:
    news: dict[tuple[str, str], DeviceNews] = {}
    for one in arrived:
        known = news.get(one.device)
        if known is None:
            known = news[one.device] = news_of(one)
        known.fold(one)
    for heard in (True, False):
        for gone in (True, False):
            rows = [
                (one.site, one.device, form.time(one.first_seen), form.time(one.last_seen), one.connected, one.boot,
                 one.wearer, one.state, one.state_boot, one.state_seq, one.health, one.health_boot, one.health_seq)
                for _, one in sorted(news.items()) if (one.heard, one.gone) == (heard, gone)
            ]  # fmt: skip
            if rows:
                insert_rows(connection, "devices", _DEVICE, rows, _merge_device(form.greatest, heard, gone))


def _merge_device(most: str, heard: bool, gone: bool) -> str:
    """What a batch says about a device, put into its row; neither heard nor gone is what the broker had kept."""
    current = "excluded.boot >= devices.boot"
    words = [
        f"boot = {most}(devices.boot, excluded.boot)",
        f"wearer = CASE WHEN {current} THEN coalesce(excluded.wearer, devices.wearer) ELSE devices.wearer END",
    ]
    if heard:
        words.append(f"last_seen = {most}(devices.last_seen, excluded.last_seen)")
    if heard or gone:
        words.append(f"connected = CASE WHEN {current} THEN excluded.connected ELSE devices.connected END")
    for noun in ("state", "health"):
        newer = (
            f"excluded.{noun} IS NOT NULL AND (excluded.{noun}_boot, excluded.{noun}_seq) >= "
            f"(devices.{noun}_boot, devices.{noun}_seq)"
        )
        words += [
            f"{name} = CASE WHEN {newer} THEN excluded.{name} ELSE devices.{name} END"
            for name in (noun, f"{noun}_boot", f"{noun}_seq")
        ]
    return "ON CONFLICT (site, device) DO UPDATE SET " + ", ".join(words)


def _change_alerts(connection: Connection, new: Sequence[NewMessage], channels: Channels) -> list[AlertChange]:
    """And replies to commands: both are rare, and follow the order of the device's numbers."""
    changes: list[AlertChange] = []
    notable = [
        one.arrived for one in new if not isinstance(one.arrived.message, Telemetry) and one.arrived.message.seq > 0
    ]
    for arrived in sorted(notable, key=lambda one: one.key):
        message = arrived.message
        if isinstance(message, Reply):
            take_reply(connection, message)
        raised = None
        for raised in alerts_for(message):
            change = raise_alert(connection, raised, channels, arrived.received)
            if change is not None:
                changes.append(change)
        subjects = passed_with(message)
        if isinstance(message, Fault) and message.active and raised is not None and _has_passed(connection, message):
            subjects = (raised.subject,)
        if subjects:
            until = None if isinstance(message, Fault) and message.active else (message.boot, message.seq)
            changes += resolve(
                connection, message.site, message.device, subjects, channels, arrived.received, by="device", until=until
            )
    return changes


def _has_passed(connection: Connection, fault: Fault) -> bool:
    """The message that it has passed came first: supervisors that share a device may overtake each other."""
    newest = connection.execute(
        text(
            "SELECT f.active FROM faults f JOIN messages m ON m.id = f.message_id "
            "WHERE m.site = :site AND m.device = :device AND m.kind = 'fault' AND f.fault = :fault "
            "ORDER BY m.boot DESC, m.seq DESC LIMIT 1"
        ),
        {"site": fault.site, "device": fault.device, "fault": fault.fault.value},
    ).scalar()
    return newest is not None and not newest


def _quarantine(connection: Connection, poison: Sequence[Poison]) -> None:
    rows = [
        (one.topic.replace("\0", "?"), Form(connection).time(one.received), one.reason.replace("\0", "?"),
         one.payload[:_QUARANTINED_BYTES], len(one.payload))
        for one in poison
    ]  # fmt: skip
    insert_rows(connection, "quarantine", ("topic", "received", "reason", "payload", "size"), rows)
    table = tables.quarantine
    newest = connection.execute(select(func.max(table.c.id))).scalar_one()
    connection.execute(delete(table).where(table.c.id <= newest - QUARANTINE_ROWS))
