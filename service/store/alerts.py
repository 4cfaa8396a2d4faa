"""Alerts in the database: which still have to go out, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import RowMapping, select, update

from schemas.alert import Alert
from service.store.batch import NewAlert
from service.store.database import Database
from service.store.tables import alerts, hook_runs


class Result(Protocol):
    """What calling a hook came to."""

    @property
    def status(self) -> str: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def detail(self) -> str: ...


async def next_unpublished(database: Database) -> NewAlert | None:
    query = select(alerts.c.id, alerts.c.payload).where(~alerts.c.published).order_by(alerts.c.id).limit(1)
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
    return None if row is None else NewAlert(row.id, Alert.model_validate_json(row.payload))


async def mark_published(database: Database, alert: int) -> None:
    async with database.write() as connection:
        await connection.execute(update(alerts).where(alerts.c.id == alert).values(published=True))


async def next_pending(database: Database, hook: str) -> NewAlert | None:
    """The oldest alert that this hook has not been called for."""
    query = (
        select(alerts.c.id, alerts.c.payload)
        .join(hook_runs, hook_runs.c.alert == alerts.c.id)
        .where(hook_runs.c.status == "pending", hook_runs.c.hook == hook)
        .order_by(alerts.c.id)
        .limit(1)
    )
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
    return None if row is None else NewAlert(row.id, Alert.model_validate_json(row.payload))


async def record_run(database: Database, alert: int, hook: str, result: Result) -> None:
    async with database.write() as connection:
        await connection.execute(
            update(hook_runs)
            .where(hook_runs.c.alert == alert, hook_runs.c.hook == hook)
            .values(status=result.status, duration_s=result.duration_s, detail=result.detail)
        )


async def list_alerts(
    database: Database,
    *,
    site: str | None,
    device: str | None,
    rule: str | None,
    severity: str | None,
    after: int,
    limit: int,
) -> Sequence[RowMapping]:
    """Newest first, each with what became of its hooks."""
    query = select(alerts.c.id, alerts.c.payload).where(alerts.c.id > after)
    for column, value in ((alerts.c.site, site), (alerts.c.device, device), (alerts.c.rule, rule)):
        if value is not None:
            query = query.where(column == value)
    if severity is not None:
        query = query.where(alerts.c.severity == severity)
    async with database.read() as connection:
        return (await connection.execute(query.order_by(alerts.c.id.desc()).limit(limit))).mappings().all()


async def runs_of(database: Database, alert_ids: Sequence[int]) -> dict[int, list[RowMapping]]:
    runs: dict[int, list[RowMapping]] = {}
    async with database.read() as connection:
        query = select(hook_runs).where(hook_runs.c.alert.in_(alert_ids)).order_by(hook_runs.c.hook)
        for row in (await connection.execute(query)).mappings():
            runs.setdefault(row["alert"], []).append(row)
    return runs
