"""The loop: windows in, predictions and messages out, and a model that is kept accurate beside it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import structlog

from device_agent.adaptation.policy import Selection, Wait, decide
from device_agent.adaptation.run import AdaptationRun
from device_agent.calibration import calibrate
from device_agent.context import Context
from device_agent.desired import DesiredState
from device_agent.drift.monitor import Drift
from device_agent.drift.quality import SignalQuality
from device_agent.frozen import Frozen, open_frozen
from device_agent.heartbeat import Heartbeat
from device_agent.labelling import Labelling
from device_agent.link import WearableLink
from device_agent.listener import Listener
from device_agent.opening import open_wearable
from device_agent.outbox import Draft
from device_agent.outlets.outlet import Told
from device_agent.outlets.registry import open_outlet
from device_agent.plan_change import PlanChange
from device_agent.plan_fetch import PlanFetch
from device_agent.plan_files import PlanFiles
from device_agent.publisher import Publisher
from device_agent.recorder.recorder import Recorder
from device_agent.relay import Relay
from device_agent.sources.registry import Material
from device_agent.sources.source import LateLabel, Recorded, Start, WindowSource
from device_agent.sources.window import Window
from device_agent.state import InFlight
from device_agent.unlabelled import Prediction
from device_agent.wearable.api import Wearable, WearableError, WearableLost, WindowReport
from messaging import Broker
from schemas.adaptation import Trigger
from schemas.command import Command, ReplyStatus, Verb
from schemas.fault import FaultKind
from schemas.state import DeviceState
from schemas.topics import Kind

_log = structlog.get_logger("agent")
Connect = Callable[[], Awaitable[Wearable]]
_SETTLED = 60
"""Windows after an alert that an adapted model is given before the next change is measured against what it does."""
_TAKEN_BACK = 80
"""Attempts in vain that an operator's roll back counts for."""


class Agent:
    """One stream beside one wearable. `run` returns when the source has ended and all is stored, or was cancelled."""

    def __init__(
        self,
        context: Context,
        material: Material,
        broker: Broker,
        files: PlanFiles,
        *,
        connect: Connect,
        connect_frozen: Connect,
    ) -> None:
        self._context, self._material, self._broker = context, material, broker
        self._connect_frozen = connect_frozen
        self._relay = Relay(context)
        self._link = WearableLink(
            connect, self._relay.pass_on, context.changed, on_up=self._wearable_up, on_down=self._wearable_down
        )
        self._run = AdaptationRun(context, self._link, self._relay)
        self._heartbeat = Heartbeat(context, self._link)
        self._labelling = Labelling(context, self._link)
        fetch = PlanFetch(context.settings, broker)
        self._plans = PlanChange(
            context, self._link, fetch, files, adapting=lambda: self._run.busy, tell=lambda: self._desired.tell()
        )
        self._desired = DesiredState(context, broker, self._plans.wish)
        self._listener = Listener(
            context,
            broker,
            {Verb.PING: self._ping, Verb.ROLL_BACK: self._roll_back, Verb.ADAPT: self._adapt_now},
            self._desired.take,
            fetch.take,
        )
        self._files = files
        self._tasks: asyncio.TaskGroup
        self._outlets = [open_outlet(address) for address in context.settings.predictions]
        self._recorder = None if context.settings.record is None else Recorder(context.settings.record)
        self._frozen: Frozen | None = None
        self._quality: SignalQuality | None = None
        self._source: WindowSource | None = None
        self._lost_told = 0
        self._waits_for: str | None = None

    @property
    def adapting(self) -> bool:
        """The device trains or judges; whoever need not keep to a wall clock may wait until it has what it needs."""
        return self._run.busy and not self._run.waits_for_windows

    async def run(self) -> None:
        context, settings = self._context, self._context.settings
        publisher = Publisher(context.reporter, self._broker, resend_after_s=settings.resend_after_s)
        services: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as self._tasks:
            for name, service in (
                ("publisher", publisher.run()),
                ("listener", self._listener.run()),
                ("link", self._link.run()),
                ("heartbeat", self._heartbeat.run()),
                ("late labels", self._labelling.run()),
                ("desired state", self._desired.run()),
                ("plans", self._plans.run()),
            ):
                services[name] = self._tasks.create_task(service, name=name)
            try:
                await context.enter(DeviceState.STARTING, "the agent has started")
                await self._prepare()
                await self._stream()
                await self._adaptation_ends()
                services["heartbeat"].cancel()  # nothing new is said while the last words are being stored
                await self._finish()
            finally:
                for task in services.values():
                    task.cancel()
                if self._frozen is not None:
                    await self._frozen.close()
                for outlet in self._outlets:
                    await outlet.close()
                if self._recorder is not None:
                    await asyncio.to_thread(self._recorder.close, ended=context.stream_over)

    async def _prepare(self) -> None:
        """Whatever a run before this one left open is ended; a new stream begins with calibration."""
        state = self._context.state
        flight = state.in_flight
        await self._listener.end_open_commands(but=flight.command_id if flight else None)
        await self._run.recover()
        fresh = state.anchor_s is None
        full = self._context.reporter.outbox.full  # an adaptation, too: the next start makes up for it
        if self._material.calibration is not None and not state.calibrated and not full:
            await calibrate(self._context, self._link, self._run, self._material.calibration)
        if self._context.settings.compare_frozen:
            self._frozen = await open_frozen(
                self._context.settings.state_dir, await self._link.up(), self._connect_frozen, fresh=fresh
            )

    async def _stream(self) -> None:
        context, settings, state = self._context, self._context.settings, self._context.state
        wearable = await self._link.up()
        self._quality = context.signal_quality(wearable.info.channels)
        resumed = state.anchor_s is not None
        source = self._material.open(
            Start(
                wearable=self._link.up,
                wearable_lost=self._link.lost,
                speed=settings.speed,
                anchor_s=state.anchor_s,
                after=state.last_window if resumed else None,
                capacity=settings.queue_windows,
            )
        )
        state.anchor_s, self._source = source.anchor_s, source
        context.source_health = lambda: source.health
        if self._recorder is not None:
            layout = self._material.layout  # None: live, in real time and microvolts
            speed, unit = (1.0, "uV") if layout is None else (settings.speed, layout.unit)
            self._recorder.open(wearable.info, speed=speed, wearer=settings.wearer, unit=unit)
        await context.enter(DeviceState.ONLINE)
        for outlet in self._outlets:
            await outlet.open(self._classes, self._take_label)
            _log.info("predictions are told", at=outlet.address)
        async with source:
            async for item in source:
                self._count_lost()
                match item:
                    case LateLabel():
                        await self._take_label(item)
                    case Recorded(report, time_s):
                        await self._take_report(report, report.label, None, time_s, state.committed > 0)
                    case Window():
                        after_commit = state.committed > 0
                        seen = await self._predict(item)
                        if seen is not None:
                            await self._take_report(seen[0], item.label, seen[1], item.time_s, after_commit, item)
                self._consider_adaptation()
        self._count_lost()
        context.stream_over = True
        context.changed.notify()

    async def _predict(self, window: Window, again: bool = False) -> tuple[WindowReport, int | None] | None:
        """What the wearable says of a window, and what the frozen copy says. None when the window was lost."""
        wearable = await self._link.up()
        try:
            if self._frozen is None:
                return await wearable.push(window), None
            return await asyncio.gather(wearable.push(window), self._frozen.predict(window))
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
        assert self._quality is not None
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

    @property
    def _classes(self) -> tuple[str, ...]:
        assert self._context.info is not None  # a wearable has been up
        return self._context.info.classes

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

    def _consider_adaptation(self) -> None:
        context = self._context
        context.changed.notify()  # a fit may wait for windows to be compared on
        if context.settings.adapt == "never" or self._run.busy or self._plans.pending:
            return
        self._turn_episode()
        if not context.episode.open or context.episode.resting:
            return
        ended_s = context.state.last_end_s
        if ended_s is not None and time.time() < ended_s + context.settings.cool_down_s:
            return
        if self._source is not None and self._source.windows_waiting:
            return  # the stream comes first
        # What continues a calibration says so; from an alert on, it is the drift that is answered.
        calibrating = context.episode.why is Trigger.CALIBRATION and not context.monitor.active
        if calibrating:
            flight = self._choose(Trigger.CALIBRATION)
        else:
            flight = self._choose(Trigger.DRIFT, alert_id=context.state.alert_id)
        if isinstance(flight, InFlight):
            self._tasks.create_task(self._adapt(flight), name="adaptation")

    def _turn_episode(self) -> None:
        """An alert opens an episode, or wakes it; it rests when accuracy has come back."""
        context, episode, monitor = self._context, self._context.episode, self._context.monitor
        if not episode.open:
            if monitor.active and monitor.since_window is not None:
                episode.begin(monitor.since_window, context.newest_window)
            return
        alerted = monitor.active and monitor.since_window is not None
        if episode.resting:
            if alerted:
                episode.wake(monitor.since_window or 0, context.newest_window)
            return
        if alerted and episode.committed and (monitor.since_window or 0) > episode.since_window:
            episode.wake(monitor.since_window or 0, context.newest_window)
        recent, reference = episode.recent_error, context.state.reference_error
        if recent is None:
            return
        if episode.recovered(reference):
            _log.info("the model is right again", recent_error=recent)
            context.state.reference_error = recent if reference is None else reference
            monitor.reset(context.state.reference_error)
            episode.rest()
        elif monitor.active and context.newest_window - (monitor.since_window or 0) >= _SETTLED:
            # As good as it gets for now: the next change is measured against that.
            monitor.reset(max(recent, reference or 0.0))

    async def _adapt(self, flight: InFlight) -> None:
        await self._run.adapt(flight)
        self._context.state.last_end_s = time.time()
        episode = self._context.episode
        if flight.trigger is Trigger.COMMAND and not (episode.committed or self._context.monitor.active):
            episode.close()

    def _choose(
        self, trigger: Trigger, *, alert_id: str | None = None, command_id: str | None = None
    ) -> InFlight | Wait:
        """Ask the policy; where it agrees, the place of the one running adaptation is taken."""
        if self._context.reporter.outbox.full:
            return Wait("the outbox is full: what it holds has to be stored first")
        if self._quality is not None and self._quality.suspect:
            return Wait("a sensor fault: what it leaves of the signal is nothing to learn from")
        context, state = self._context, self._context.state
        episode = context.episode
        if trigger is Trigger.COMMAND and not episode.open:
            now = context.newest_window
            episode.begin(max(now - context.policy.first.recent, 0), now, Trigger.COMMAND)
        decision = decide(
            context.ring,
            context.policy,
            classes=len(self._classes),
            since_window=episode.since_window,
            woken_at=episode.woken_at,
            newest_window=context.newest_window,
            last_attempt_window=state.last_attempt_window,
            failures=state.failures,
            home_until=state.home_until,
            refining=episode.committed,
            forced=trigger is Trigger.COMMAND,
        )
        if isinstance(decision, Wait):
            return decision
        wait = self._not_now(len(decision.train), forced=trigger is Trigger.COMMAND)
        if wait is not None:
            return Wait(wait)
        cost_mj = self._cost_mj(decision)
        if trigger is not Trigger.COMMAND and not context.energy.allows(cost_mj, context.newest_s):
            return Wait(f"the day's energy is spent: {context.energy.spent_mj:.0f} mJ, a fit takes {cost_mj:.0f}")
        context.energy.charge(cost_mj, context.newest_s)
        return self._run.prepare(decision, trigger, alert_id=alert_id, command_id=command_id)

    def _not_now(self, windows: int, *, forced: bool) -> str | None:
        """Charger, heat and hours; said once in the log whenever the reason changes."""
        context = self._context
        fit = context.settings.refine if context.episode.committed else context.settings.fit
        steps = -(-windows // fit.batch_size) * fit.epochs
        conditions = context.conditions.read(context.statistics)
        now = datetime.now().astimezone()
        wait = context.settings.occasion.wait(steps, conditions, now, asked_for=forced)
        kind = None if wait is None else re.sub(r"\d", "", wait)
        if kind != self._waits_for:
            _log.info("adaptation waits" if wait else "adaptation may begin", reason=wait or "")
        self._waits_for = kind
        return wait

    def _cost_mj(self, chosen: Selection) -> float:
        """What a fit on these windows takes, by the plan's model of the device."""
        context = self._context
        fit = context.settings.refine if context.episode.committed else context.settings.fit
        steps = fit.epochs * -(-len(chosen.train) // fit.batch_size)  # a batch that is not full is a step as well
        return steps * fit.batch_size * (context.mj_per_window or 0.0)

    async def _ping(self, command: Command) -> tuple[ReplyStatus, str]:
        return ReplyStatus.DONE, f"{self._context.doing}, window {self._context.newest_window}"

    async def _adapt_now(self, command: Command) -> tuple[ReplyStatus, str] | None:
        if self._run.busy or self._context.doing is not DeviceState.ONLINE:
            return ReplyStatus.REFUSED, f"not now: the agent is {self._context.doing}"
        if self._plans.pending:
            return ReplyStatus.REFUSED, "not now: a plan was pushed, and is on its way to the wearable"
        flight = self._choose(Trigger.COMMAND, alert_id=self._context.state.alert_id, command_id=command.command_id)
        if isinstance(flight, Wait):
            return ReplyStatus.REFUSED, f"not now: {flight.reason}"
        self._tasks.create_task(self._adapt(flight), name="adaptation")
        return None  # the adaptation's end answers

    async def _roll_back(self, command: Command) -> tuple[ReplyStatus, str]:
        wearable = self._link.wearable
        if self._plans.pending:
            return ReplyStatus.REFUSED, "not now: a plan was pushed, and is on its way to the wearable"
        if self._run.busy or wearable is None:
            return ReplyStatus.REFUSED, "not now: " + ("an adaptation is running" if wearable else "no wearable")
        try:
            version = await wearable.roll_back()
        except WearableError as error:
            return ReplyStatus.FAILED, str(error)
        state = self._context.state
        state.device_version = version
        # Otherwise the same drift would bring back at once what the operator has just taken away.
        state.last_attempt_window = self._context.newest_window
        state.failures = _TAKEN_BACK
        self._context.episode.close()
        return ReplyStatus.DONE, f"weights version {version} serve again"

    async def _wearable_up(self, wearable: Wearable) -> None:
        context, state, info = self._context, self._context.state, wearable.info
        await open_wearable(context, wearable, self._material, self._files)
        back = context.doing is DeviceState.WEARABLE_LOST
        restarted = state.wearable_boot not in (None, info.boot)
        if restarted and (await wearable.statistics()).ring_windows < len(context.ring):
            context.ring.forget()  # its ring did not survive
        state.wearable_boot = info.boot
        if back:
            await context.reporter.put(context.fault_draft(FaultKind.WEARABLE_LOST, False))
            await context.enter(DeviceState.ADAPTING if state.in_flight else DeviceState.ONLINE, "the wearable is back")

    async def _wearable_down(self, reason: str) -> None:
        context = self._context
        await context.reporter.put(context.fault_draft(FaultKind.WEARABLE_LOST, True, detail=reason))
        await context.enter(DeviceState.WEARABLE_LOST, reason)

    def _count_lost(self) -> None:
        """Windows that the source could not keep for us."""
        assert self._source is not None
        new, self._lost_told = self._source.lost - self._lost_told, self._source.lost
        self._context.state.windows_dropped += new
        self._context.state.period.dropped += new

    def _drop(self, window: int) -> None:
        state = self._context.state
        state.last_window = window
        state.windows_dropped += 1
        state.period.dropped += 1

    async def _adaptation_ends(self) -> None:
        timeout_s = self._context.settings.finish_timeout_s
        if not await self._context.changed.until(lambda: not self._run.busy and self._labelling.done, timeout_s):
            _log.warning("an adaptation or a late label was still under way when the time to finish was over")

    async def _finish(self) -> None:
        """The source has ended: say the totals, wait until all is stored."""
        context, settings = self._context, self._context.settings
        await self._heartbeat.end_period()
        context.state.finished = True
        await context.enter(DeviceState.FINISHED, "the source has ended")
        outbox = context.reporter.outbox
        if not await context.changed.until(lambda: outbox.pending_count == 0, settings.finish_timeout_s):
            _log.warning("not everything is stored yet; it will be sent at the next start", left=outbox.pending_count)


async def say_offline(context: Context, broker: Broker) -> None:
    """The last words of an orderly stop; without them the broker sends the last will."""
    if context.doing is DeviceState.FINISHED:
        return
    await context.enter(DeviceState.OFFLINE, "the agent was stopped")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            publisher = Publisher(context.reporter, broker, resend_after_s=60.0)
            outbox = context.reporter.outbox
            await asyncio.gather(publisher.run(), context.changed.until(lambda: outbox.pending_count == 0))
