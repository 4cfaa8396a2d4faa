"""Alerts as they are read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, select

from service.store.alert_rows import MQTT
from service.store.database import Database
from service.store.tables_operations import alerts, deliveries


async def list_alerts(
    database: Database,
    *,
    site: str | None = None,
    device: str | None = None,
    rule: str | None = None,
    severity: str | None = None,
    state: Sequence[str] = (),
    after: int = 0,
    before: int | None = None,
    limit: int,
) -> Sequence[RowMapping]:
    """Newest first."""
    query = select(alerts).where(alerts.c.id > after)
    columns = ((alerts.c.site, site), (alerts.c.device, device), (alerts.c.rule, rule), (alerts.c.severity, severity))
    for column, value in columns:
        if value is not None:
            query = query.where(column == value)
    if state:
        query = query.where(alerts.c.state.in_(state))
    if before is not None:
        query = query.where(alerts.c.id < before)
    async with database.read() as connection:
        return (await connection.execute(query.order_by(alerts.c.id.desc()).limit(limit))).mappings().all()


async def deliveries_of(database: Database, alert_ids: Sequence[int]) -> dict[int, list[RowMapping]]:
    """By alert: what became of telling hooks and webhooks."""
    found: dict[int, list[RowMapping]] = {}
    query = select(deliveries).where(deliveries.c.alert.in_(alert_ids), deliveries.c.channel != MQTT)
    async with database.read() as connection:
        for row in (await connection.execute(query.order_by(deliveries.c.channel, deliveries.c.id))).mappings():
            found.setdefault(row["alert"], []).append(row)
    return found


async def unresolved_counts(database: Database) -> dict[tuple[str, str], int]:
    """Of each (site, device) that has any."""
    query = (
        select(alerts.c.site, alerts.c.device, func.count())
        .where(alerts.c.state != "resolved")
        .group_by(alerts.c.site, alerts.c.device)
    )
    async with database.read() as connection:
        return {(row[0], row[1]): row[2] for row in await connection.execute(query)}
