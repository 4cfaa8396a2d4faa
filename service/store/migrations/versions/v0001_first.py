"""The tables of version 0.1.0 (SQLite's `user_version` 1)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from service.store.utc import UtcDateTime

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Devices, their messages and series, alerts and hooks."""
    op.create_table(
        "messages",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("boot", BIG, nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("wearer", sa.String(64), nullable=True),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("received", UtcDateTime, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.UniqueConstraint("site", "device", "boot", "seq", name="messages_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("messages_by_kind", "messages", ["site", "device", "kind", "id"])
    _noun(
        "telemetry",
        *(
            sa.Column(name, BIG, nullable=False)
            for name in (
                "first_window", "last_window", "windows", "windows_dropped", "windows_faulty", "labelled", "correct",
            )
        ),
        sa.Column("frozen_correct", BIG),
        sa.Column("error_rate", sa.Float),
        sa.Column("drift_statistic", sa.Float),
        sa.Column("drift_threshold", sa.Float),
        sa.Column("weights_version", BIG, nullable=False),
    )  # fmt: skip
    _noun(
        "drift_alerts",
        sa.Column("alert_id", sa.String(64), nullable=False),
        sa.Column("window", BIG, nullable=False),
        sa.Column("since_window", BIG, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("accuracy_reference", sa.Float),
        sa.Column("accuracy_recent", sa.Float),
        sa.Column("weights_version", BIG, nullable=False),
    )
    _noun(
        "adaptations",
        sa.Column("adaptation_id", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("trigger", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(64), nullable=False),
        sa.Column("window", BIG, nullable=False),
        sa.Column("loss", sa.Float),
        sa.Column("duration_s", sa.Float),
        sa.Column("total_bytes", BIG),
        sa.Column("l2_bytes", BIG),
        sa.Column("from_version", BIG, nullable=False),
        sa.Column("to_version", BIG),
    )
    op.create_index("ix_adaptations_adaptation_id", "adaptations", ["adaptation_id"])
    _noun(
        "faults",
        sa.Column("fault", sa.String(32), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("window", BIG, nullable=False),
        sa.Column("channels", sa.JSON, nullable=False),
    )
    _noun("states", sa.Column("state", sa.String(32), nullable=False), sa.Column("weights_version", BIG))
    _noun(
        "health",
        sa.Column("uptime_s", sa.Float, nullable=False),
        sa.Column("last_seq", BIG, nullable=False),
        sa.Column("outbox", BIG, nullable=False),
        sa.Column("wearable_connected", sa.Boolean, nullable=False),
    )
    _noun(
        "replies",
        sa.Column("command_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
    )
    op.create_index("ix_replies_command_id", "replies", ["command_id"])
    op.create_table(
        "devices",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("first_seen", UtcDateTime, nullable=False),
        sa.Column("last_seen", UtcDateTime, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        sa.Column("boot", BIG, nullable=False),
        sa.Column("wearer", sa.String(64)),
        sa.Column("state", sa.Text),
        sa.Column("state_boot", BIG, nullable=False),
        sa.Column("state_seq", BIG, nullable=False),
        sa.Column("health", sa.Text),
    )
    op.create_table(
        "boots",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("boot", BIG, primary_key=True),
        sa.Column("last_seq", BIG, nullable=False),
        sa.Column("told", UtcDateTime, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", BIG, primary_key=True),
        *(
            sa.Column(name, sa.String(64), nullable=False)
            for name in ("site", "device", "alert_id", "rule", "severity")
        ),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.UniqueConstraint("site", "device", "alert_id", name="alerts_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hook_runs",
        sa.Column("alert", BIG, sa.ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("hook", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("duration_s", sa.Float),
        sa.Column("detail", sa.String(500), nullable=False),
    )
    op.create_index("hook_runs_by_status", "hook_runs", ["status"])
    op.create_table(
        "commands",
        sa.Column("id", BIG, primary_key=True),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("site", "device", "command_id", "verb")),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("detail", sa.String(500), nullable=False),
        sa.Column("answered", UtcDateTime),
        sa.Column("payload", sa.Text, nullable=False),
        sa.UniqueConstraint("site", "device", "command_id", name="commands_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("received", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sqlite_autoincrement=True,
    )


def _noun(name: str, *columns: sa.Column[Any]) -> None:
    key = sa.Column("message_id", BIG, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    op.create_table(name, key, *columns)
