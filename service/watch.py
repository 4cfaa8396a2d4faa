"""What no message tells: devices that have fallen silent, and numbers that never came."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from messaging import Broker, PublishError
from schemas.alert import Alert, AlertRule, Severity
from schemas.base import utc_now
from schemas.state import DeviceState, State
from schemas.stored import SeqRange, Stored
from schemas.topics import DeviceTopic, Kind
from service.alerts import Raised
from service.gauges import read_gauges
from service.key_watch import look_for_missing_keys
from service.metrics import Metrics
from service.settings import SupervisorSettings
from service.store import gap_rows
from service.store.alert_rows import Channels, raise_alert, resolve
from service.store.batch import AlertChange
from service.store.database import Database
from service.store.retention import remove_older
from service.store.tables import devices
from service.store.tables_operations import alerts

_log = structlog.get_logger("service.watch")

#: A device that says one of these is expected to be quiet.
_QUIET = (DeviceState.OFFLINE, DeviceState.FINISHED)
#: After so many questions, each twice as long after the one before, a gap is worth a person's attention.
ALERT_AFTER_ASKS = 4
_RANGES = 500
_REMOVAL_EVERY_S = 3600.0


class Watch:
    """`run` it as a task. Several supervisors may do so: what they find is one row, and one alert."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        settings: SupervisorSettings,
        channels: Channels,
        metrics: Metrics,
        on_alerts: Callable[[Sequence[AlertChange]], None],
    ) -> None:
        self._database, self._broker, self._settings = database, broker, settings
        self._channels, self._metrics, self._on_alerts = channels, metrics, on_alerts
        self._started = utc_now()
        self._next_removal_s = 0.0

    async def run(self) -> None:
        period_s = max(0.2, min(self._settings.silent_after_s / 4, self._settings.gap_delay_s / 2, 10.0))
        while True:
            await asyncio.sleep(period_s)
            try:
                changes = await self._database.in_writer_thread(self._look_for_silence)
                changes += await self._look_for_gaps()
                changes += await self._database.in_writer_thread(
                    lambda connection: look_for_missing_keys(connection, self._channels, utc_now)
                )
                await self._refresh_gauges()
                await self._remove_old_rows()
            except (DBAPIError, SQLAlchemyError, OSError) as error:
                _log.warning(
                    "the watch waits for the database", reason=str(getattr(error, "orig", None) or error)[:300]
                )
                continue
            if changes:
                self._on_alerts(changes)

    def _look_for_silence(self, connection: Connection) -> list[AlertChange]:
        now = utc_now()
        before = now - timedelta(seconds=self._settings.silent_after_s)
        changes: list[AlertChange] = []
        silent = (alerts.c.rule == AlertRule.DEVICE_SILENT.value) & (alerts.c.state != "resolved")
        open_ones = {
            (row.site, row.device) for row in connection.execute(select(alerts.c.site, alerts.c.device).where(silent))
        }
        # Nobody is called silent for the time in which we were away ourselves.
        if self._started <= before:
            query = select(devices).where(devices.c.last_seen < before)
            if self._settings.site is not None:
                query = query.where(devices.c.site == self._settings.site)
            for row in connection.execute(query).mappings().all():
                if (row["site"], row["device"]) in open_ones:
                    open_ones.discard((row["site"], row["device"]))
                    continue
                state = State.model_validate_json(row["state"], extra="ignore").state if row["state"] else None
                if state in _QUIET:
                    continue
                raised = _silence(row["site"], row["device"], row["boot"], row["wearer"], row["last_seen"], now)
                if (change := raise_alert(connection, raised, self._channels, now)) is not None:
                    changes.append(change)
        for site, device in sorted(open_ones):
            heard = connection.execute(
                select(devices.c.last_seen).where(devices.c.site == site, devices.c.device == device)
            ).scalar()
            if heard is not None and heard >= before:
                subjects = [AlertRule.DEVICE_SILENT]
                changes += resolve(connection, site, device, subjects, self._channels, now, by="device")
        return changes

    async def _look_for_gaps(self) -> list[AlertChange]:
        now = utc_now()
        delay = timedelta(seconds=self._settings.gap_delay_s)

        found = await gap_rows.look(self._database, self._settings.site, now, delay)
        if not found:
            return []

        def work(connection: Connection) -> tuple[Sequence[gap_rows.Asked], list[AlertChange]]:
            asked = gap_rows.keep(connection, found, now)
            changes: list[AlertChange] = []
            for one in asked:
                if one.times >= ALERT_AFTER_ASKS:
                    change = raise_alert(connection, _missing(one, now), self._channels, now)
                    changes += [change] if change is not None else []
            for site, device in found.whole:
                subjects = [AlertRule.MESSAGES_MISSING]
                changes += resolve(connection, site, device, subjects, self._channels, now, by="device")
            return asked, changes

        asked, changes = await self._database.in_writer_thread(work)
        by_device: dict[tuple[str, str], list[SeqRange]] = {}
        for one in asked:
            by_device.setdefault((one.site, one.device), []).append(
                SeqRange(boot=one.boot, first=one.first, last=one.last)
            )
        messages = [
            (
                str(DeviceTopic(site, device, Kind.STORED)),
                Stored(site=site, device=device, missing=ranges[:_RANGES]).to_json(),
            )
            for (site, device), ranges in by_device.items()
        ]
        if messages:
            _log.info("messages are missing; their devices were asked for them", devices=len(messages))
            with contextlib.suppress(PublishError):  # asked again, later
                self._broker.publish_unconfirmed(messages)
        return changes

    async def _remove_old_rows(self) -> None:
        days = self._settings.keep_days
        if days is None or time.monotonic() < self._next_removal_s:
            return
        self._next_removal_s = time.monotonic() + min(_REMOVAL_EVERY_S, days * 86_400 / 4)
        removed = await remove_older(self._database, utc_now() - timedelta(days=days))
        if removed:
            _log.info("old telemetry was removed; its sums by the hour are kept", rows=removed)

    async def _refresh_gauges(self) -> None:
        async with self._database.read() as connection:
            self._metrics.gauges = await read_gauges(connection)


def _silence(site: str, device: str, boot: int, wearer: str | None, last_seen: datetime, now: datetime) -> Raised:
    return Raised(
        AlertRule.DEVICE_SILENT,
        Alert(
            site=site,
            device=device,
            time=now,
            alert_id=f"device-silent-{boot}-{int(last_seen.timestamp() * 1000)}",
            rule=AlertRule.DEVICE_SILENT,
            severity=Severity.WARNING,
            wearer=wearer,
            message=f"Nothing was heard since {last_seen:%Y-%m-%d %H:%M:%S} UTC",
            boot=max(1, boot),
            seq=0,
        ),
        hold_off_s=60.0,
    )


def _missing(gap: gap_rows.Asked, now: datetime) -> Raised:
    count = gap.last - gap.first + 1
    return Raised(
        AlertRule.MESSAGES_MISSING,
        Alert(
            site=gap.site,
            device=gap.device,
            time=now,
            alert_id=f"messages-missing-{gap.boot}-{gap.first}",
            rule=AlertRule.MESSAGES_MISSING,
            severity=Severity.WARNING,
            message=f"{count} messages of start {gap.boot} are missing, from number {gap.first} on; "
            f"the device was asked {gap.times} times",
            boot=gap.boot,
            seq=gap.first,
        ),
        hold_off_s=600.0,
    )
