"""How far retention has removed rows of a boot: what is gone on purpose is no gap."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Up to which number retention has removed a boot's messages: these are no gaps."""
    with op.batch_alter_table("boots") as boots:
        boots.add_column(sa.Column("removed", BIG, nullable=False, server_default="0"))
