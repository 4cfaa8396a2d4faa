"""From a checked message to the row of its noun."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

from schemas.adaptation import Adaptation
from schemas.base import Sequenced
from schemas.command import Reply
from schemas.drift import DriftAlert
from schemas.fault import Fault
from schemas.health import Health
from schemas.state import State
from schemas.telemetry import Telemetry
from service.store import tables

Row = dict[str, Any]

_TABLES: dict[type[Sequenced], Table] = {
    Telemetry: tables.telemetry,
    DriftAlert: tables.drift_alerts,
    Adaptation: tables.adaptations,
    Fault: tables.faults,
    State: tables.states,
    Health: tables.health,
    Reply: tables.replies,
}


def table_of(message: Sequenced) -> Table:
    return _TABLES[type(message)]


def noun_row(message: Sequenced, message_id: int) -> Row:
    """Columns that a noun has beyond its message's own fields are derived here."""
    row: Row = {"message_id": message_id}
    match message:
        case DriftAlert():
            row["evidence"] = [evidence.model_dump() for evidence in message.evidence]
        case Adaptation(memory=memory):
            row["total_bytes"] = memory.total_bytes if memory else None
            row["l2_bytes"] = memory.l2_bytes if memory else None
        case Health():
            row["wearable_connected"] = message.wearable.connected
        case _:
            pass
    for column in table_of(message).c:
        if column.name not in row:
            row[column.name] = getattr(message, column.name)
    return row
