"""The way of one window: predicted, handed out, checked, counted, and watched for drift. Late labels join here."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import structlog

from device_agent.context import Context
from device_agent.drift.monitor import Drift
from device_agent.drift.quality import SignalQuality
from device_agent.frozen import Frozen
from device_agent.labelling import Labelling
from device_agent.link import WearableLink
from device_agent.outbox import Draft
from device_agent.outlets.outlet import Told
from device_agent.outlets.registry import open_outlet
from device_agent.plan_change import PlanChange
from device_agent.recorder.recorder import Recorder
from device_agent.sources.registry import Material
from device_agent.sources.source import LateLabel, Recorded
from device_agent.sources.window import Window
from device_agent.unlabelled import Prediction
from device_agent.wearable.api import WearableError, WearableInfo, WearableLost, WindowReport
from schemas.topics import Kind

_log = structlog.get_logger("agent")


class Windows:
    """`open` before the first window and `close` after the last; `take` whatever the source gives, in its order."""

    def __init__(self, context: Context, link: WearableLink, labelling: Labelling, plans: PlanChange) -> None:
        self._context, self._link, self._labelling, self._plans = context, link, labelling, plans
        self._outlets = [open_outlet(address) for address in context.settings.predictions]
        self._recorder = None if context.settings.record is None else Recorder(context.settings.record)
        self._quality: SignalQuality
        self._lost_told = 0
        self.frozen: Frozen | None = None
        """The copy that never adapts, where one was asked for."""

    async def open(self, info: WearableInfo, material: Material) -> None:
        settings = self._context.settings
        self._quality = self._context.signal_quality(info.channels)
        if self._recorder is not None:
            layout = material.layout  # None: live, in real time and microvolts
            speed, unit = (1.0, "uV") if layout is None else (settings.speed, layout.unit)
            self._recorder.open(info, speed=speed, wearer=settings.wearer, unit=unit)
        for outlet in self._outlets:
            await outlet.open(self._classes, self._take_label)
            _log.info("predictions are told", at=outlet.address)

    async def close(self) -> None:
        if self.frozen is not None:
            await self.frozen.close()
        for outlet in self._outlets:
            await outlet.close()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close, ended=self._context.stream_over)

    async def take(self, item: Window | Recorded | LateLabel) -> None:
        after_commit = self._context.state.committed > 0
        match item:
            case LateLabel():
                await self._take_label(item)
            case Recorded(report, time_s):  # the wearable has recorded and predicted it by itself
                await self._take_report(report, report.label, None, time_s, after_commit)
            case Window():
                seen = await self._predict(item)
                if seen is not None:
                    report, frozen = seen
                    await self._take_report(report, item.label, frozen, item.time_s, after_commit, item)

    @property
    def _classes(self) -> tuple[str, ...]:
        assert self._context.info is not None  # a wearable has been up
        return self._context.info.classes

    def count_lost(self, lost: int) -> None:
        """Windows that the source could not keep for us; `lost` counts them from its beginning."""
        new, self._lost_told = lost - self._lost_told, lost
        self._context.state.windows_dropped += new
        self._context.state.period.dropped += new

    async def _predict(self, window: Window, again: bool = False) -> tuple[WindowReport, int | None] | None:
        """What the wearable says of a window, and what the frozen copy says. None when the window was lost."""
        wearable = await self._link.up()
        try:
            if self.frozen is None:
                return await wearable.push(window), None
            return await asyncio.gather(wearable.push(window), self.frozen.predict(window))
        except WearableError as error:
            if isinstance(error, WearableLost):
                self._link.lost(wearable)
            elif self._plans.writing and not again:
                await self._plans.written()  # the source keeps what comes meanwhile
                return await self._predict(window, again=True)
            else:
                _log.warning("the wearable refused a window", window=window.id, code=error.code, reason=str(error))
            self._drop(window.id)
            return None

    async def _take_report(
        self,
        report: WindowReport,
        label: int | None,
        frozen: int | None,
        time_s: float,
        after_commit: bool,
        window: Window | None = None,
    ) -> None:
        """Quality first: a faulty window is predicted, but neither watched for drift nor trained on."""
        context, state = self._context, self._context.state
        faulty, changes = self._quality.check(report, window)
        self._hand_out(report, time_s, faulty)  # before all else: somebody steers with it
        if self._recorder is not None and window is not None:
            self._recorder.window(window, report, faulty)
        state.windows += 1
        state.last_window = report.window_id
        context.newest_s = time_s
        seen = Prediction(report.window_id, report.predicted, frozen, after_commit, faulty, report.weights_version)
        correct = None if label is None else self._count(seen, label)
        if label is None:
            context.unlabelled.add(seen)
        context.ring.add(report.window_id, label, usable=not faulty, predicted=report.predicted)
        state.period.add(
            report,
            classes=self._classes,
            correct=correct,
            frozen_correct=None if frozen is None or label is None else frozen == label,
            faulty=faulty,
            latency_s=time.time() - time_s,
            flagged=self._quality.flagged,
        )
        for change in changes:
            draft = context.fault_draft(change.kind, change.active, channels=change.channels, detail=change.detail)
            await context.reporter.put(draft)
        if not faulty:
            error = None if correct is None else not correct
            if error is not None:
                context.episode.served(error)
            await self._tell(context.monitor.observe(report.window_id, error, report.entropy, report))

    def _hand_out(self, report: WindowReport, time_s: float, faulty: bool) -> None:
        for outlet in self._outlets:
            outlet.tell(
                Told(
                    report.window_id,
                    time_s,
                    report.predicted,
                    report.probabilities,
                    report.weights_version,
                    faulty,
                    self._classes,
                )
            )

    async def _take_label(self, late: LateLabel) -> None:
        """The label of a window that was predicted before: counted, watched and learned from once."""
        context, state = self._context, self._context.state
        if not 0 <= late.label < len(self._classes):
            _log.warning("a late label names no class", window=late.window_id, label=late.label)
            return
        seen = context.unlabelled.take(late.window_id)
        if seen is None:
            return  # it has its label, was lost, or is too old
        if self._recorder is not None:
            self._recorder.label(late.window_id, late.label)
        correct = self._count(seen, late.label)
        state.period.add_label(correct, None if seen.frozen is None else seen.frozen == late.label)
        self._labelling.put(late)
        # What other weights got wrong says nothing of those that serve now.
        if not seen.faulty and seen.weights_version == state.device_version:
            await self._tell(context.monitor.label(late.window_id, not correct))

    def _count(self, seen: Prediction, label: int) -> bool:
        state, correct = self._context.state, seen.predicted == label
        if seen.after_commit:
            state.adapted.add(correct)
            if seen.frozen is not None:
                state.frozen.add(seen.frozen == label)
        elif not state.drift_alerts:
            state.before_drift.add(correct)
        return correct

    async def _tell(self, drift: Drift | None) -> None:
        if drift is None:
            return
        state = self._context.state
        state.drift_alerts += 1
        state.alert_id = f"d-{int(time.time()):x}-{state.drift_alerts}-{secrets.token_hex(2)}"
        fields: dict[str, Any] = {
            "alert_id": state.alert_id,
            "window": drift.window,
            "since_window": drift.since_window,
            "evidence": list(drift.evidence),
            "sureness": drift.sureness,
            "accuracy_reference": drift.accuracy_reference,
            "accuracy_recent": drift.accuracy_recent,
            "weights_version": state.device_version,
        }
        await self._context.reporter.put(Draft(Kind.DRIFT, fields))
        if self._recorder is not None:
            self._recorder.note(drift.window, f"drift since window {drift.since_window}")
        _log.info("drift", window=drift.window, since=drift.since_window, accuracy=drift.accuracy_recent)

    def _drop(self, window: int) -> None:
        state = self._context.state
        state.last_window = window
        state.windows_dropped += 1
        state.period.dropped += 1
