"""What is published by the clock: telemetry of a period that had windows, and the agent's own health."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.outbox import Draft
from device_agent.telemetry import Period
from device_agent.wearable.api import WearableError, WearableLost, WearableStatistics
from schemas.fault import FaultKind
from schemas.link.statistics import Statistics
from schemas.topics import Kind

_log = structlog.get_logger("agent")

#: So many damaged frames from one heartbeat to the next are more than a radio's usual noise: each is sent again, and
#: windows come late.
_DAMAGED_FRAMES = 10


class Heartbeat:
    """`run` it as a task. `lost_windows` is read at each period: windows that never reached the loop."""

    def __init__(self, context: Context, link: WearableLink) -> None:
        self._context, self._link = context, link
        self._began_s = self._period_began_s = time.monotonic()
        self._losing = self._silent = self._damaging = False
        self._damaged: int | None = None

    async def run(self) -> None:
        settings = self._context.settings
        next_health_s = time.monotonic()
        while True:
            await asyncio.sleep(settings.telemetry_period_s)
            await self.end_period()
            if time.monotonic() >= next_health_s:
                next_health_s = time.monotonic() + settings.health_period_s
                await self.tell_health()

    async def end_period(self) -> None:
        """Publish what was counted since the last time, if there is anything to tell."""
        context, state = self._context, self._context.state
        now = time.monotonic()
        period_s, self._period_began_s = now - self._period_began_s, now
        if state.period.empty:
            return
        period, state.period = state.period, Period()
        error = next(evidence for evidence in context.monitor.evidence() if evidence.watches == "error")
        fields = period.fields(
            period_s=period_s, last_window=context.newest_window, frozen=context.settings.compare_frozen
        )
        fields |= {
            "error_rate": context.monitor.smoothed_error,
            "drift_statistic": error.statistic,
            "drift_threshold": error.threshold,
            "weights_version": state.device_version,
        }
        drafts = [Draft(Kind.TELEMETRY, fields)]
        if bool(period.dropped) is not self._losing:
            self._losing = bool(period.dropped)
            detail = f"{period.dropped} windows were lost within {period_s:.1f} s" if self._losing else ""
            drafts.append(context.fault_draft(FaultKind.WINDOWS_LOST, self._losing, detail=detail))
        # at the stream's end this task is cancelled; what it has counted must be kept all the same
        await asyncio.shield(context.reporter.put(*drafts))

    async def tell_health(self) -> None:
        context, outbox = self._context, self._context.reporter.outbox
        wearable = self._link.wearable
        if wearable is not None:
            try:
                context.statistics = await wearable.statistics()
            except WearableLost:
                self._link.lost(wearable)
                wearable = None
            except WearableError as error:
                _log.debug("no statistics", reason=str(error))
        known, info = context.statistics, context.info
        refused = {name: known.extra.get(name, 0) if known else 0 for name in Statistics.LATER}
        refused["plans_refused"] += context.refused
        conditions = context.conditions.read(known)
        fields: dict[str, Any] = {
            "uptime_s": time.monotonic() - self._began_s,
            "last_seq": outbox.last_seq,
            "outbox": outbox.pending_count,
            "rss_bytes": _resident_bytes(),
            "wearable": {
                "connected": wearable is not None,
                "firmware": info.firmware if info else "",
                "boot": info.boot if info else 0,
                "uptime_s": known.uptime_us / 1e6 if known else 0.0,
                "weights_version": known.weights_version if known else 0,
                "l2_peak_bytes": known.l2_peak_bytes if known else 0,
                "ring_windows": known.ring_windows if known else 0,
                "events_pending": known.events_pending if known else 0,
                "frames_corrupt": known.frames_corrupt if known else 0,
                "trust": context.trust,
                **refused,
                "battery": conditions.battery,
                "charging": conditions.charging,
                "temperature_c": conditions.temperature_c,
            },
        }
        source, drafts = context.source_health(), self._link_fault(known)
        if source is not None:
            fields["source"] = {name: value for name, value in asdict(source).items() if name != "silent"}
            if source.silent is not self._silent:
                self._silent = source.silent
                detail = (
                    "the source gives no samples: is it on, plugged in, and in the network?" if source.silent else ""
                )
                drafts.append(context.fault_draft(FaultKind.SOURCE_SILENT, source.silent, detail=detail))
        await context.reporter.put(Draft(Kind.HEALTH, fields), *drafts)

    def _link_fault(self, known: WearableStatistics | None) -> list[Draft]:
        """Begins when frames arrive damaged, ends with the first heartbeat without any."""
        if known is None:
            return []
        before, self._damaged = self._damaged, known.frames_corrupt
        new = 0 if before is None or known.frames_corrupt < before else known.frames_corrupt - before
        damaging = new >= _DAMAGED_FRAMES or (self._damaging and new > 0)
        if damaging is self._damaging:
            return []
        self._damaging = damaging
        detail = f"{new} damaged frames since the last heartbeat" if damaging else ""
        return [self._context.fault_draft(FaultKind.LINK_CORRUPT, damaging, detail=detail)]


def _resident_bytes() -> int | None:
    """Where the system tells."""
    if not sys.platform.startswith("linux"):
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
