"""Devices that take any plan, at a site whose others take only what is signed: one was forgotten, or reset."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, select

from schemas.alert import Alert, AlertRule, Severity
from service.alerts import Raised
from service.store.alert_rows import Channels, raise_alert
from service.store.batch import AlertChange
from service.store.tables import devices
from service.store.tables_operations import alerts


def look_for_missing_keys(
    connection: Connection, channels: Channels, clock: Callable[[], datetime]
) -> list[AlertChange]:
    """A site that uses no keys is left alone. Told once for each start of the agent; a heartbeat that tells of keys
    resolves it."""
    query = select(devices.c.site, devices.c.device, devices.c.boot, devices.c.health).where(
        devices.c.health.is_not(None)
    )
    told = [(row, json.loads(row.health).get("wearable", {}).get("trust")) for row in connection.execute(query)]
    with_keys = {row.site for row, trust in told if trust == "signed"}
    known = {
        (row.site, row.device)
        for row in connection.execute(
            select(alerts.c.site, alerts.c.device).where(
                alerts.c.rule == AlertRule.KEYS_MISSING.value, alerts.c.state != "resolved"
            )
        )
    }
    changes = []
    for row, trust in told:
        if trust != "development" or row.site not in with_keys or (row.site, row.device) in known:
            continue
        alert = Alert(
            site=row.site,
            device=row.device,
            time=clock(),
            alert_id=f"keys-missing-{row.boot}",
            rule=AlertRule.KEYS_MISSING,
            severity=Severity.WARNING,
            message="The wearable has no keys and takes any plan, and others of its site have some: biotrain trust",
            boot=max(1, row.boot),
            seq=0,
        )
        change = raise_alert(connection, Raised(AlertRule.KEYS_MISSING, alert), channels, clock())
        changes += [change] if change is not None else []
    return changes
