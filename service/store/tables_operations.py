"""What the supervisor and its operators do: alerts and their deliveries, commands, desired state, tokens, audit."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Float, ForeignKey, Index, LargeBinary, String, Table, Text, UniqueConstraint, text

from service.store.tables import BIG, metadata
from service.store.utc import UtcDateTime


def _text(name: str, length: int = 64) -> Column[str]:
    return Column(name, String(length), nullable=False)


def _when(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


#: `subject` is what makes two alerts the same one: at most one of a device is not resolved.
alerts = Table(
    "alerts",
    metadata,
    Column("id", BIG, primary_key=True),
    _text("site"),
    _text("device"),
    _text("alert_id"),
    _text("rule"),
    _text("severity"),
    _when("time"),
    Column("payload", Text, nullable=False),
    _text("subject"),
    #: `open`, `acknowledged`, `resolved`
    Column("state", String(16), nullable=False),
    #: How often it was raised while it was not resolved.
    Column("count", BIG, nullable=False, server_default="1"),
    _when("changed"),
    _when("acknowledged", nullable=True),
    Column("acknowledged_by", String(100), nullable=True),
    _when("resolved", nullable=True),
    Column("resolved_by", String(100), nullable=True),
    UniqueConstraint("site", "device", "alert_id", name="alerts_once"),
    Index(
        "alerts_one_unresolved",
        "site",
        "device",
        "subject",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
    Index("alerts_by_state", "state", "id"),
    sqlite_autoincrement=True,
)

#: One row for each change of an alert and each channel that hears of it, made in the same transaction.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BIG, primary_key=True),
    Column("alert", BIG, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    #: `opened`, `acknowledged`, `resolved`
    Column("transition", String(16), nullable=False),
    #: `mqtt`, a hook's `module:function`, or a webhook's address
    Column("channel", String(300), nullable=False),
    #: `pending`, `done`, `failed`, `timed_out`, `skipped`, `dead`
    Column("status", String(16), nullable=False),
    Column("attempts", BIG, nullable=False, server_default="0"),
    #: Not before; also the lease of the supervisor that is at it.
    _when("due"),
    _when("ended", nullable=True),
    Column("duration_s", Float, nullable=True),
    Column("detail", String(500), nullable=False, server_default=""),
    Index("deliveries_due", "status", "channel", "due"),
    sqlite_autoincrement=True,
)

commands = Table(
    "commands",
    metadata,
    Column("id", BIG, primary_key=True),
    _text("site"),
    _text("device"),
    _text("command_id"),
    _text("verb"),
    _when("time"),
    Column("status", String(16), nullable=False),
    Column("detail", String(500), nullable=False, server_default=""),
    _when("answered", nullable=True),
    Column("payload", Text, nullable=False),
    #: Set when it went to a group: one row for the group, with an empty device, and one for each that answered.
    Column("group_name", String(64), nullable=True),
    UniqueConstraint("site", "device", "command_id", name="commands_once"),
    sqlite_autoincrement=True,
)

#: What a device should be set to, versioned, and what it last said that it is.
desired = Table(
    "desired",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("version", BIG, nullable=False),
    Column("payload", Text, nullable=False),
    _when("time"),
    Column("reported_version", BIG, nullable=False, server_default="0"),
    Column("reported", Text, nullable=True),
    _when("reported_time", nullable=True),
)

#: Who did what to which device.
audit = Table(
    "audit",
    metadata,
    Column("id", BIG, primary_key=True),
    _when("time"),
    Column("who", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("site", String(64), nullable=True),
    Column("device", String(64), nullable=True),
    Column("detail", Text, nullable=False, server_default=""),
    Index("audit_by_device", "site", "device", "id"),
    sqlite_autoincrement=True,
)

#: Only the SHA-256 of a token is kept.
tokens = Table(
    "tokens",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _when("created"),
    Column("created_by", String(100), nullable=False),
    _when("revoked", nullable=True),
)

#: Plans and weights files that may be pushed, by what is in them.
plan_files = Table(
    "plan_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", BIG, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

#: A plan with the weights that devices begin with, as somebody has handed it in.
plans = Table(
    "plans",
    metadata,
    Column("id", BIG, primary_key=True),
    _text("name"),
    Column("plan", String(64), ForeignKey("plan_files.sha256"), nullable=False),
    Column("weights", String(64), ForeignKey("plan_files.sha256"), nullable=True),
    #: The plan's own hash, which devices report.
    _text("plan_hash"),
    _text("model"),
    _when("created"),
    Column("created_by", String(100), nullable=False),
    UniqueConstraint("name", name="plans_named_once"),
    sqlite_autoincrement=True,
)

#: A new plan on its way through a fleet, share by share.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", BIG, primary_key=True),
    _text("site"),
    _text("group_name"),
    Column("plan", BIG, ForeignKey("plans.id"), nullable=False),
    Column("return_to", BIG, ForeignKey("plans.id"), nullable=True),
    #: `running`, `paused`, `returning`, `stopped`, `done`
    Column("state", String(16), nullable=False),
    #: From 0; each has a share of the devices.
    Column("stage", BIG, nullable=False, server_default="0"),
    Column("looks", BIG, nullable=False, server_default="0"),
    Column("settings", Text, nullable=False),
    #: The newest comparison, as JSON; null before there is one.
    Column("verdict", Text, nullable=True),
    Column("reason", String(500), nullable=False, server_default=""),
    _when("created"),
    Column("created_by", String(100), nullable=False),
    _when("stage_began"),
    _when("changed"),
    sqlite_autoincrement=True,
)

rollout_devices = Table(
    "rollout_devices",
    metadata,
    Column("rollout", BIG, ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("stage", BIG, nullable=False),
    #: `waiting`, `asked`, `running`, `failed`, `no_answer`, `returning`, `returned`, `not_returned`
    Column("state", String(16), nullable=False),
    Column("command_id", String(64), nullable=True),
    _when("asked", nullable=True),
    _when("changed", nullable=True),
    #: Telemetry counts for the new plan from here on.
    _when("counts_from", nullable=True),
    Column("detail", String(500), nullable=False, server_default=""),
)
