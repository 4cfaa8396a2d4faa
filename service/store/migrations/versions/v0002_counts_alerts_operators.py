"""Counts beside the rows, alerts with states and deliveries, gaps, desired state, audit, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.utc import UtcDateTime

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Counts by hour and boot, states of alerts, and the operators' tables."""
    _count()
    _give_alerts_states()
    _make_tables_for_operators()


def _count() -> None:
    with op.batch_alter_table("boots") as boots:
        boots.add_column(sa.Column("stored", BIG, nullable=False, server_default="0"))
        boots.add_column(sa.Column("newest", BIG, nullable=False, server_default="0"))
    # A boot without a heartbeat was not known here.
    op.execute(
        """
        INSERT INTO boots (site, device, boot, last_seq, told, stored, newest)
        SELECT m.site, m.device, m.boot, 0, max(m.received), 0, 0 FROM messages m
        WHERE m.seq > 0 AND NOT EXISTS (
            SELECT 1 FROM boots b WHERE b.site = m.site AND b.device = m.device AND b.boot = m.boot)
        GROUP BY m.site, m.device, m.boot
        """
    )
    here = "FROM messages m WHERE m.site = boots.site AND m.device = boots.device AND m.boot = boots.boot AND m.seq > 0"
    op.execute(
        f"UPDATE boots SET stored = (SELECT count(*) {here}), newest = coalesce((SELECT max(m.seq) {here}), 0)"  # noqa: S608
    )
    op.create_table(
        "telemetry_hours",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("hour", UtcDateTime, primary_key=True),
        *(
            sa.Column(name, BIG, nullable=False)
            for name in (
                "rows", "windows", "windows_dropped", "windows_faulty", "labelled", "correct", "frozen_labelled",
                "frozen_correct",
            )
        ),
    )  # fmt: skip
    postgres = op.get_bind().dialect.name == "postgresql"
    hour = "date_trunc('hour', m.received)" if postgres else "strftime('%Y-%m-%d %H:00:00.000000', m.received)"
    op.execute(
        f"""
        INSERT INTO telemetry_hours
        SELECT m.site, m.device, {hour}, count(*), sum(t.windows), sum(t.windows_dropped), sum(t.windows_faulty),
               sum(t.labelled), sum(t.correct),
               sum(CASE WHEN t.frozen_correct IS NULL THEN 0 ELSE t.labelled END), coalesce(sum(t.frozen_correct), 0)
        FROM telemetry t JOIN messages m ON m.id = t.message_id GROUP BY m.site, m.device, {hour}
        """  # noqa: S608
    )
    with op.batch_alter_table("devices") as devices:
        devices.add_column(sa.Column("health_boot", BIG, nullable=False, server_default="0"))
        devices.add_column(sa.Column("health_seq", BIG, nullable=False, server_default="0"))
        devices.alter_column("state_boot", existing_type=BIG, existing_nullable=False, server_default="0")
        devices.alter_column("state_seq", existing_type=BIG, existing_nullable=False, server_default="0")
    boot, seq = (
        ("(health::json->>'boot')::bigint", "(health::json->>'seq')::bigint")
        if postgres
        else ("json_extract(health, '$.boot')", "json_extract(health, '$.seq')")
    )
    op.execute(f"UPDATE devices SET health_boot = {boot}, health_seq = {seq} WHERE health IS NOT NULL")  # noqa: S608
    op.create_table(
        "gaps",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("boot", BIG, primary_key=True),
        sa.Column("first", BIG, primary_key=True),
        sa.Column("last", BIG, nullable=False),
        sa.Column("found", UtcDateTime, nullable=False),
        sa.Column("asked", UtcDateTime),
        sa.Column("times_asked", BIG, nullable=False, server_default="0"),
    )


def _give_alerts_states() -> None:
    # SQLite makes the table anew, and what hangs on its rows would go with the old one: it is put aside.
    op.execute(
        """
        CREATE TABLE kept_deliveries AS
        SELECT r.alert AS alert, r.hook AS channel, r.status AS status, r.duration_s AS duration_s, r.detail AS detail,
               a.time AS due
        FROM hook_runs r JOIN alerts a ON a.id = r.alert
        UNION ALL
        SELECT id, 'mqtt', CASE WHEN published THEN 'done' ELSE 'pending' END, NULL, '', time FROM alerts
        """
    )
    op.drop_table("hook_runs")
    with op.batch_alter_table("alerts", table_kwargs={"sqlite_autoincrement": True}) as alerts:
        alerts.drop_column("published")
        # Alerts from before had no life of their own: they are kept as resolved.
        alerts.add_column(sa.Column("subject", sa.String(64), nullable=False, server_default=""))
        alerts.add_column(sa.Column("state", sa.String(16), nullable=False, server_default="resolved"))
        alerts.add_column(sa.Column("count", BIG, nullable=False, server_default="1"))
        alerts.add_column(sa.Column("changed", UtcDateTime, nullable=True))
        alerts.add_column(sa.Column("acknowledged", UtcDateTime))
        alerts.add_column(sa.Column("acknowledged_by", sa.String(100)))
        alerts.add_column(sa.Column("resolved", UtcDateTime))
        alerts.add_column(sa.Column("resolved_by", sa.String(100)))
    op.execute("UPDATE alerts SET subject = rule, changed = time, resolved = time, resolved_by = 'upgrade'")
    with op.batch_alter_table("alerts", table_kwargs={"sqlite_autoincrement": True}) as alerts:
        alerts.alter_column("changed", existing_type=UtcDateTime, nullable=False)
        alerts.alter_column("subject", existing_type=sa.String(64), existing_nullable=False, server_default=None)
        alerts.alter_column("state", existing_type=sa.String(16), existing_nullable=False, server_default=None)
    op.create_table(
        "deliveries",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("alert", BIG, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("transition", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(300), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", BIG, nullable=False, server_default="0"),
        sa.Column("due", UtcDateTime, nullable=False),
        sa.Column("ended", UtcDateTime),
        sa.Column("duration_s", sa.Float),
        sa.Column("detail", sa.String(500), nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.execute(
        """
        INSERT INTO deliveries (alert, transition, channel, status, attempts, due, duration_s, detail)
        SELECT alert, 'opened', channel, status, CASE WHEN status = 'pending' THEN 0 ELSE 1 END, due, duration_s, detail
        FROM kept_deliveries ORDER BY alert, channel
        """
    )
    op.drop_table("kept_deliveries")
    unresolved = sa.text("state <> 'resolved'")
    op.create_index(
        "alerts_one_unresolved",
        "alerts",
        ["site", "device", "subject"],
        unique=True,
        sqlite_where=unresolved,
        postgresql_where=unresolved,
    )
    op.create_index("alerts_by_state", "alerts", ["state", "id"])
    op.create_index("ix_deliveries_alert", "deliveries", ["alert"])
    op.create_index("deliveries_due", "deliveries", ["status", "channel", "due"])


def _make_tables_for_operators() -> None:
    with op.batch_alter_table("commands", table_kwargs={"sqlite_autoincrement": True}) as commands:
        commands.add_column(sa.Column("group_name", sa.String(64)))
        commands.alter_column("detail", existing_type=sa.String(500), existing_nullable=False, server_default="")
    op.create_table(
        "desired",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("version", BIG, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("reported_version", BIG, nullable=False, server_default="0"),
        sa.Column("reported", sa.Text),
        sa.Column("reported_time", UtcDateTime),
    )
    op.create_table(
        "audit",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("time", UtcDateTime, nullable=False),
        sa.Column("who", sa.String(100), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("site", sa.String(64)),
        sa.Column("device", sa.String(64)),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_device", "audit", ["site", "device", "id"])
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("revoked", UtcDateTime),
    )
