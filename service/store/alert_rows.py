"""Alerts as they are raised, acknowledged and resolved; each change is written with the deliveries that tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from schemas.alert import Alert, AlertState
from service.store.batch import AlertChange
from service.store.tables_operations import alerts, deliveries

MQTT = "mqtt"
_TRANSITION = {AlertState.OPEN: "opened", AlertState.ACKNOWLEDGED: "acknowledged", AlertState.RESOLVED: "resolved"}


@dataclass(frozen=True, slots=True)
class Channels:
    """Who hears of alerts. Hooks hear of new ones only; the device's alert topic and webhooks of every change."""

    hooks: tuple[str, ...] = ()
    webhooks: tuple[str, ...] = ()

    def of(self, state: AlertState) -> tuple[str, ...]:
        always = (MQTT, *self.webhooks)
        return (*always, *self.hooks) if state is AlertState.OPEN else always


class RaisedAlert(Protocol):
    """What a rule has found (`service.alerts.Raised`)."""

    @property
    def subject(self) -> str: ...
    @property
    def alert(self) -> Alert: ...
    @property
    def hold_off_s(self) -> float: ...


def raise_alert(connection: Connection, raised: RaisedAlert, channels: Channels, now: datetime) -> AlertChange | None:
    """None when the same is known already: then it is counted."""
    alert = raised.alert
    again = (
        update(alerts)
        .where(_same(alert.site, alert.device, [raised.subject]), alerts.c.state != AlertState.RESOLVED.value)
        .values(count=alerts.c.count + 1, changed=now, payload=alert.to_json().decode())
    )
    if connection.execute(again).rowcount:
        return None
    if raised.hold_off_s and _open_again(connection, raised, now):
        return None
    row = {
        "site": alert.site,
        "device": alert.device,
        "alert_id": alert.alert_id,
        "rule": alert.rule.value,
        "severity": alert.severity.value,
        "time": alert.time,
        "payload": alert.to_json().decode(),
        "subject": raised.subject,
        "state": AlertState.OPEN.value,
        "changed": now,
    }
    row_id = connection.execute(_insert_new(connection, row)).scalar_one_or_none()
    if row_id is None:  # another supervisor was quicker
        connection.execute(again)
        return None
    change = AlertChange(int(row_id), alert)
    _deliver(connection, [change], channels, now)
    return change


def resolve(
    connection: Connection,
    site: str,
    device: str,
    subjects: Iterable[str],
    channels: Channels,
    now: datetime,
    *,
    by: str,
    until: tuple[int, int] | None = None,
) -> list[AlertChange]:
    """`until` leaves alone what a later message (boot, seq) has raised: messages may overtake each other."""
    query = select(alerts).where(_same(site, device, list(subjects)), alerts.c.state != AlertState.RESOLVED.value)
    rows = connection.execute(query.with_for_update()).all()
    found = []
    for row in rows:
        alert = Alert.model_validate_json(row.payload)
        if until is None or (alert.boot, alert.seq) < until:
            found.append((row, alert))
    return [_change(connection, row, alert, AlertState.RESOLVED, channels, now, by) for row, alert in found]


def change_by_hand(
    connection: Connection, alert_id: int, state: AlertState, channels: Channels, now: datetime, *, by: str
) -> AlertChange | str:
    """A person acknowledges or resolves; why not, as text, when that cannot be. KeyError without such an alert."""
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id).with_for_update()).first()
    if row is None:
        raise KeyError(alert_id)
    if row.state == AlertState.RESOLVED.value:
        return "it is resolved already"
    if state is AlertState.ACKNOWLEDGED and row.state != AlertState.OPEN.value:
        return f"it was acknowledged already, by {row.acknowledged_by}"
    return _change(connection, row, Alert.model_validate_json(row.payload), state, channels, now, by)


def _change(
    connection: Connection, row: Row[Any], alert: Alert, state: AlertState, channels: Channels, now: datetime, by: str
) -> AlertChange:
    changed = alert.model_copy(update={"state": state})
    values: dict[str, Any] = {"state": state.value, "changed": now, "payload": changed.to_json().decode()}
    word = "acknowledged" if state is AlertState.ACKNOWLEDGED else "resolved"
    values |= {word: now, f"{word}_by": by[:100]}
    connection.execute(update(alerts).where(alerts.c.id == row.id).values(values))
    change = AlertChange(row.id, changed)
    _deliver(connection, [change], channels, now)
    return change


def _open_again(connection: Connection, raised: RaisedAlert, now: datetime) -> bool:
    alert = raised.alert
    newest = connection.execute(
        select(alerts.c.id, alerts.c.resolved)
        .where(_same(alert.site, alert.device, [raised.subject]))
        .order_by(alerts.c.id.desc())
        .limit(1)
    ).first()
    if newest is None or newest.resolved is None or newest.resolved < now - timedelta(seconds=raised.hold_off_s):
        return False
    values = {"state": AlertState.OPEN.value, "count": alerts.c.count + 1, "changed": now, "resolved": None}
    values |= {"resolved_by": None, "payload": alert.to_json().decode()}
    connection.execute(update(alerts).where(alerts.c.id == newest.id).values(values))
    return True


def _deliver(connection: Connection, changes: Sequence[AlertChange], channels: Channels, now: datetime) -> None:
    rows = [
        {
            "alert": change.id,
            "transition": _TRANSITION[change.alert.state],
            "channel": channel,
            "status": "pending",
            "due": now,
        }
        for change in changes
        for channel in channels.of(change.alert.state)
    ]
    connection.execute(insert(deliveries), rows)


def _insert_new(connection: Connection, row: dict[str, Any]) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_or_not
    else:
        from sqlalchemy.dialects.postgresql import insert as insert_or_not  # type: ignore[assignment]
    return insert_or_not(alerts).values(row).on_conflict_do_nothing().returning(alerts.c.id)


def _same(site: str, device: str, subjects: Sequence[str]) -> Any:
    return and_(alerts.c.site == site, alerts.c.device == device, or_(*(alerts.c.subject == one for one in subjects)))
