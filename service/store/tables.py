"""What devices say: one table per noun, the fleet as it follows from it, and the counts that pages ask for.

`messages` holds every payload as it came; the others hold what is asked for by column. A change here needs a
migration (`service/store/migrations`); a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
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

metadata = MetaData()

#: Numbers that devices give out have 63 bits. SQLite's INTEGER has them anyway, and only it can be a row's own number.
BIG = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=nullable)


def _when(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


def _number(name: str) -> Column[int]:
    return Column(name, BIG, nullable=False)


def _counter(name: str) -> Column[int]:
    return Column(name, BIG, nullable=False, server_default="0")


def _maybe(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=True)


#: Unique by what the device numbers; everything a device has ever said, in the order of arrival.
messages = Table(
    "messages",
    metadata,
    Column("id", BIG, primary_key=True),
    _text("site"),
    _text("device"),
    _number("boot"),
    _number("seq"),
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
        Column("message_id", BIG, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        *columns,
    )


telemetry = _noun(
    "telemetry",
    _number("first_window"),
    _number("last_window"),
    _number("windows"),
    _number("windows_dropped"),
    _number("windows_faulty"),
    _number("labelled"),
    _number("correct"),
    _maybe("frozen_correct", BIG),
    _maybe("error_rate", Float),
    _maybe("drift_statistic", Float),
    _maybe("drift_threshold", Float),
    _number("weights_version"),
)
drift_alerts = _noun(
    "drift_alerts",
    Column("alert_id", String(64), nullable=False),
    _number("window"),
    _number("since_window"),
    Column("evidence", JSON, nullable=False),
    _maybe("accuracy_reference", Float),
    _maybe("accuracy_recent", Float),
    _number("weights_version"),
)
adaptations = _noun(
    "adaptations",
    Column("adaptation_id", String(64), nullable=False, index=True),
    Column("phase", String(16), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("mode", String(64), nullable=False),
    _number("window"),
    _maybe("loss", Float),
    _maybe("duration_s", Float),
    _maybe("total_bytes", BIG),
    _maybe("l2_bytes", BIG),
    _number("from_version"),
    _maybe("to_version", BIG),
)
faults = _noun(
    "faults",
    Column("fault", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    _number("window"),
    Column("channels", JSON, nullable=False),
)
states = _noun("states", Column("state", String(32), nullable=False), _maybe("weights_version", BIG))
health = _noun(
    "health",
    Column("uptime_s", Float, nullable=False),
    _number("last_seq"),
    _number("outbox"),
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
    _number("boot"),
    _text("wearer", nullable=True),
    #: The newest messages of these kinds by (boot, seq), as JSON.
    _maybe("state", Text),
    _counter("state_boot"),
    _counter("state_seq"),
    _maybe("health", Text),
    _counter("health_boot"),
    _counter("health_seq"),
)

#: What each boot of a device has given out, as far as it is known, and how much of it is here. The rest is a gap.
boots = Table(
    "boots",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("boot", BIG, primary_key=True),
    #: The highest number by its heartbeat's word.
    _number("last_seq"),
    #: When something of this boot last came in.
    _when("told"),
    _counter("stored"),
    #: The highest number that is here.
    _counter("newest"),
    #: Up to which number retention has removed rows: what is gone on purpose is no gap.
    _counter("removed"),
)

#: Telemetry by the hour of its arrival: the trend of the overview, and what is left when retention removes the rows.
telemetry_hours = Table(
    "telemetry_hours",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("hour", UtcDateTime, primary_key=True),
    _number("rows"),
    _number("windows"),
    _number("windows_dropped"),
    _number("windows_faulty"),
    _number("labelled"),
    _number("correct"),
    #: Labelled windows that a copy which never adapted has seen too, and of them right.
    _number("frozen_labelled"),
    _number("frozen_correct"),
)

#: What could not be understood, as it came.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("topic", Text, nullable=False),
    _when("received"),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    #: Bytes as they came; more than `payload` where that was cut.
    _number("size"),
    sqlite_autoincrement=True,
)

#: What is missing, found after a delay, and how often the device was asked for it.
gaps = Table(
    "gaps",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("boot", BIG, primary_key=True),
    Column("first", BIG, primary_key=True),
    _number("last"),
    _when("found"),
    _when("asked", nullable=True),
    _counter("times_asked"),
)
