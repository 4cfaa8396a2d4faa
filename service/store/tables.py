"""One table per noun. `messages` holds every payload as it came; the others hold what is asked for by column."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from service.store.utc import UtcDateTime

#: Raised at every change of these tables; a database of a later version is refused.
VERSION = 1

metadata = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=nullable)


def _when(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


def _maybe(name: str, kind: type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=True)


#: Unique by what the device numbers; everything a device has ever said, in the order of arrival.
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("site"),
    _text("device"),
    Column("boot", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    _text("kind"),
    _text("wearer", nullable=True),
    _when("time"),
    _when("received"),
    Column("payload", Text, nullable=False),
    UniqueConstraint("site", "device", "boot", "seq", name="messages_once"),
    Index("messages_by_kind", "site", "device", "kind", "id"),
    sqlite_autoincrement=True,
)


def _noun(name: str, *columns: Column[Any]) -> Table:
    """A table whose rows belong to one message each."""
    return Table(
        name,
        metadata,
        Column("message_id", Integer, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        *columns,
    )


telemetry = _noun(
    "telemetry",
    Column("first_window", Integer, nullable=False),
    Column("last_window", Integer, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("windows_dropped", Integer, nullable=False),
    Column("windows_faulty", Integer, nullable=False),
    Column("labelled", Integer, nullable=False),
    Column("correct", Integer, nullable=False),
    _maybe("frozen_correct", Integer),
    _maybe("error_rate", Float),
    _maybe("drift_statistic", Float),
    _maybe("drift_threshold", Float),
    Column("weights_version", Integer, nullable=False),
)
drift_alerts = _noun(
    "drift_alerts",
    Column("alert_id", String(64), nullable=False),
    Column("window", Integer, nullable=False),
    Column("since_window", Integer, nullable=False),
    Column("evidence", JSON, nullable=False),
    _maybe("accuracy_reference", Float),
    _maybe("accuracy_recent", Float),
    Column("weights_version", Integer, nullable=False),
)
adaptations = _noun(
    "adaptations",
    Column("adaptation_id", String(64), nullable=False, index=True),
    Column("phase", String(16), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("mode", String(64), nullable=False),
    Column("window", Integer, nullable=False),
    _maybe("loss", Float),
    _maybe("duration_s", Float),
    _maybe("total_bytes", Integer),
    _maybe("l2_bytes", Integer),
    Column("from_version", Integer, nullable=False),
    _maybe("to_version", Integer),
)
faults = _noun(
    "faults",
    Column("fault", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("window", Integer, nullable=False),
    Column("channels", JSON, nullable=False),
)
states = _noun("states", Column("state", String(32), nullable=False), _maybe("weights_version", Integer))
health = _noun(
    "health",
    Column("uptime_s", Float, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("outbox", Integer, nullable=False),
    Column("wearable_connected", Boolean, nullable=False),
)
replies = _noun(
    "replies",
    Column("command_id", String(64), nullable=False, index=True),
    Column("status", String(16), nullable=False),
)

#: The fleet as it is now; every column but the name follows from the messages.
devices = Table(
    "devices",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    _when("first_seen"),
    _when("last_seen"),
    #: False after the last will, until the device is heard again.
    Column("connected", Boolean, nullable=False),
    Column("boot", Integer, nullable=False),
    _text("wearer", nullable=True),
    #: The newest messages of these kinds, as JSON; `state` and `health` by (boot, seq).
    _maybe("state", Text),
    Column("state_boot", Integer, nullable=False, default=0),
    Column("state_seq", Integer, nullable=False, default=0),
    _maybe("health", Text),
)

#: How far each boot of a device says that it has counted: what is missing below is a gap.
boots = Table(
    "boots",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("boot", Integer, primary_key=True),
    Column("last_seq", Integer, nullable=False),
    _when("told"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("site"),
    _text("device"),
    _text("alert_id"),
    _text("rule"),
    _text("severity"),
    _when("time"),
    Column("payload", Text, nullable=False),
    Column("published", Boolean, nullable=False, default=False),
    UniqueConstraint("site", "device", "alert_id", name="alerts_once"),
    sqlite_autoincrement=True,
)

#: One row for each alert and hook, made with the alert: a hook that was not reached is called after a restart.
hook_runs = Table(
    "hook_runs",
    metadata,
    Column("alert", Integer, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("hook", String(200), primary_key=True),
    Column("status", String(16), nullable=False),
    _maybe("duration_s", Float),
    Column("detail", String(500), nullable=False, default=""),
    Index("hook_runs_by_status", "status"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("site"),
    _text("device"),
    _text("command_id"),
    _text("verb"),
    _when("time"),
    Column("status", String(16), nullable=False),
    Column("detail", String(500), nullable=False, default=""),
    _when("answered", nullable=True),
    Column("payload", Text, nullable=False),
    UniqueConstraint("site", "device", "command_id", name="commands_once"),
    sqlite_autoincrement=True,
)

#: What could not be understood, as it came.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", Text, nullable=False),
    _when("received"),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    #: Bytes as they came; more than `payload` where that was cut.
    Column("size", Integer, nullable=False),
    sqlite_autoincrement=True,
)
