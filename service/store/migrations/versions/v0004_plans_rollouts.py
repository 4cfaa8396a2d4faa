"""Plans that can be pushed, and their way through a fleet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from service.store.utc import UtcDateTime

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Plans, pushes and roll-outs."""
    op.create_table(
        "plan_files",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("size", BIG, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("plan", sa.String(64), sa.ForeignKey("plan_files.sha256"), nullable=False),
        sa.Column("weights", sa.String(64), sa.ForeignKey("plan_files.sha256")),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.UniqueConstraint("name", name="plans_named_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rollouts",
        sa.Column("id", BIG, primary_key=True),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("group_name", sa.String(64), nullable=False),
        sa.Column("plan", BIG, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("return_to", BIG, sa.ForeignKey("plans.id")),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", BIG, nullable=False, server_default="0"),
        sa.Column("looks", BIG, nullable=False, server_default="0"),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("reason", sa.String(500), nullable=False, server_default=""),
        sa.Column("created", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.String(100), nullable=False),
        sa.Column("stage_began", UtcDateTime, nullable=False),
        sa.Column("changed", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rollout_devices",
        sa.Column("rollout", BIG, sa.ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("stage", BIG, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("command_id", sa.String(64)),
        sa.Column("asked", UtcDateTime),
        sa.Column("changed", UtcDateTime),
        sa.Column("counts_from", UtcDateTime),
        sa.Column("detail", sa.String(500), nullable=False, server_default=""),
    )
