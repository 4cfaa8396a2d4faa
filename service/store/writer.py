"""One batch of messages into the database, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table, and_, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.alert import Alert
from schemas.command import Reply, ReplyStatus
from schemas.health import Health
from service.store import tables
from service.store.batch import AlertRules, Arrived, Batch, NewAlert, NewMessage, Poison, Written
from service.store.database import Database
from service.store.fleet import fold
from service.store.rows import Row, noun_row, table_of

#: The newest of what could not be understood; older ones make room.
QUARANTINE_ROWS = 10_000
#: Statuses that end a command; nothing follows them.
FINAL = (ReplyStatus.DONE, ReplyStatus.REFUSED, ReplyStatus.FAILED)
_QUARANTINED_BYTES = 64_000


async def write_batch(database: Database, batch: Batch, rules: AlertRules, hooks: Sequence[str] = ()) -> Written:
    """Everything or nothing; what is already there is left as it is. Alerts are recorded with what raised them."""
    written = Written()
    async with database.write() as connection:
        if batch.arrived:
            written.messages = await _insert_messages(connection, batch.arrived)
            written.duplicates = len(batch.arrived) - len(written.messages)
            await _insert_nouns(connection, written.messages)
            await _update_devices(connection, batch.arrived)
            await _update_boots(connection, written.messages)
            await _update_commands(connection, written.messages)
            raised = [alert for new in written.messages if (alert := rules(new.arrived.message)) is not None]
            written.alerts = await _insert_alerts(connection, raised, hooks)
        if batch.poison:
            await _quarantine(connection, batch.poison)
            written.quarantined = len(batch.poison)
    return written


async def _insert_messages(connection: AsyncConnection, arrived: Sequence[Arrived]) -> list[NewMessage]:
    by_key = {one.key: one for one in reversed(arrived)}
    rows = [
        {
            "site": one.message.site,
            "device": one.message.device,
            "boot": one.message.boot,
            "seq": one.message.seq,
            "kind": one.kind.value,
            "wearer": one.message.wearer,
            "time": one.message.time,
            "received": one.received,
            "payload": one.payload,
        }
        for one in reversed(by_key.values())
    ]
    table = tables.messages
    statement = (
        insert(table)
        .on_conflict_do_nothing()
        .returning(table.c.id, table.c.site, table.c.device, table.c.boot, table.c.seq)
    )
    result = await connection.execute(statement, rows)
    return sorted(
        (NewMessage(row.id, by_key[row.site, row.device, row.boot, row.seq]) for row in result),
        key=lambda new: new.id,
    )


async def _insert_nouns(connection: AsyncConnection, new: Iterable[NewMessage]) -> None:
    rows: dict[Table, list[Row]] = {}
    for one in new:
        rows.setdefault(table_of(one.arrived.message), []).append(noun_row(one.arrived.message, one.id))
    for table, of_table in rows.items():
        await connection.execute(insert(table), of_table)


async def _update_devices(connection: AsyncConnection, arrived: Sequence[Arrived]) -> None:
    table = tables.devices
    names = {one.device for one in arrived}
    wanted = or_(*(and_(table.c.site == site, table.c.device == device) for site, device in names))
    known: dict[tuple[str, str], Row] = {
        (row["site"], row["device"]): {**row}
        for row in (await connection.execute(select(table).where(wanted))).mappings()
    }
    for one in arrived:
        known[one.device] = fold(known.get(one.device), one)
    await _upsert(connection, table, list(known.values()), ("site", "device"))


async def _update_boots(connection: AsyncConnection, new: Sequence[NewMessage]) -> None:
    told: dict[tuple[str, str, int], Row] = {}
    for one in new:
        message = one.arrived.message
        if isinstance(message, Health):
            row = {
                "site": message.site,
                "device": message.device,
                "boot": message.boot,
                "last_seq": message.last_seq,
                "told": message.time,
            }
            key = (message.site, message.device, message.boot)
            if key not in told or told[key]["last_seq"] <= message.last_seq:
                told[key] = row
    if told:
        statement = insert(tables.boots)
        statement = statement.on_conflict_do_update(
            index_elements=["site", "device", "boot"],
            set_={"last_seq": statement.excluded.last_seq, "told": statement.excluded.told},
            where=statement.excluded.last_seq >= tables.boots.c.last_seq,
        )
        await connection.execute(statement, list(told.values()))


async def _update_commands(connection: AsyncConnection, new: Sequence[NewMessage]) -> None:
    table = tables.commands
    for one in new:
        message = one.arrived.message
        if isinstance(message, Reply):
            await connection.execute(
                update(table)
                .where(
                    table.c.site == message.site,
                    table.c.device == message.device,
                    table.c.command_id == message.command_id,
                    table.c.status.not_in([status.value for status in FINAL]),
                )
                .values(status=message.status.value, detail=message.detail, answered=message.time)
            )


async def _insert_alerts(connection: AsyncConnection, raised: Sequence[Alert], hooks: Sequence[str]) -> list[NewAlert]:
    new: list[NewAlert] = []
    for alert in raised:
        row = {
            "site": alert.site,
            "device": alert.device,
            "alert_id": alert.alert_id,
            "rule": alert.rule.value,
            "severity": alert.severity.value,
            "time": alert.time,
            "payload": alert.to_json().decode(),
            "published": False,
        }
        statement = insert(tables.alerts).values(row).on_conflict_do_nothing().returning(tables.alerts.c.id)
        row_id = (await connection.execute(statement)).scalar_one_or_none()
        if row_id is not None:
            new.append(NewAlert(row_id, alert))
    if new and hooks:
        rows = [{"alert": one.id, "hook": hook, "status": "pending", "detail": ""} for one in new for hook in hooks]
        await connection.execute(insert(tables.hook_runs), rows)
    return new


async def _quarantine(connection: AsyncConnection, poison: Sequence[Poison]) -> None:
    table = tables.quarantine
    rows = [
        {
            "topic": one.topic,
            "received": one.received,
            "reason": one.reason,
            "payload": one.payload[:_QUARANTINED_BYTES],
            "size": len(one.payload),
        }
        for one in poison
    ]
    await connection.execute(insert(table), rows)
    newest = (await connection.execute(select(func.max(table.c.id)))).scalar_one()
    await connection.execute(delete(table).where(table.c.id <= newest - QUARANTINE_ROWS))


async def _upsert(connection: AsyncConnection, table: Table, rows: list[Row], key: tuple[str, ...]) -> None:
    statement = insert(table)
    values: dict[str, Any] = {c.name: statement.excluded[c.name] for c in table.c if c.name not in key}
    await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values), rows)
