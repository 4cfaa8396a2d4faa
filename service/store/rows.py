"""From a checked message to the row of its noun."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
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

_TABLES: dict[type[Sequenced], Table] = {
    Telemetry: tables.telemetry,
    DriftAlert: tables.drift_alerts,
    Adaptation: tables.adaptations,
    Fault: tables.faults,
    State: tables.states,
    Health: tables.health,
    Reply: tables.replies,
}
#: Columns that are not a field of their message by the same name.
_DERIVED: dict[str, Callable[[Any], Any]] = {
    "evidence": lambda message: [evidence.model_dump() for evidence in message.evidence],
    "total_bytes": lambda message: message.memory.total_bytes if message.memory else None,
    "l2_bytes": lambda message: message.memory.l2_bytes if message.memory else None,
    "wearable_connected": lambda message: message.wearable.connected,
}


class NounForm:
    """The table of one type of message, and how a row of it is made."""

    def __init__(self, table: Table) -> None:
        self.table = table.name
        names = [column.name for column in table.c if column.name != "message_id"]
        plain = [name for name in names if name not in _DERIVED]
        self._derived = [_DERIVED[name] for name in names if name in _DERIVED]
        self.columns = ("message_id", *plain, *(name for name in names if name in _DERIVED))
        #: By way of the fields' own dictionary: a model's attribute is looked for in its class first.
        get = itemgetter(*plain)
        self._plain = get if len(plain) > 1 else lambda fields: (get(fields),)

    def row(self, message: Sequenced, message_id: int) -> tuple[Any, ...]:
        """Values in the order of `columns`."""
        row = (message_id, *self._plain(message.__dict__))
        return (*row, *(derive(message) for derive in self._derived)) if self._derived else row


NOUNS: dict[type[Sequenced], NounForm] = {of: NounForm(table) for of, table in _TABLES.items()}
