"""When the model is adapted: an alert opens an episode, the policy chooses windows, and nothing speaks against it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from device_agent.adaptation.policy import Selection, Wait, decide
from device_agent.adaptation.run import AdaptationRun, fit_beside_the_stream
from device_agent.context import Context
from device_agent.state import InFlight
from schemas.adaptation import Trigger

_log = structlog.get_logger("agent")
_SETTLED = 60
"""Windows after an alert that an adapted model is given before the next change is measured against what it does."""


class Chooser:
    """`consider` after every window; `start` what `choose` allows. `plan_pending`: a pushed plan goes first."""

    def __init__(self, context: Context, run: AdaptationRun, plan_pending: Callable[[], bool]) -> None:
        self._context, self._run, self._plan_pending = context, run, plan_pending
        self._waits_for: str | None = None
        self.tasks: asyncio.TaskGroup
        """Where adaptations run, beside the stream."""

    def consider(self, windows_waiting: int) -> None:
        context = self._context
        context.changed.notify()  # a fit may wait for windows to be compared on
        if context.settings.adapt == "never" or self._run.busy or self._plan_pending():
            return
        self._turn_episode()
        if not context.episode.open or context.episode.resting:
            return
        ended_s = context.state.last_end_s
        if ended_s is not None and time.time() < ended_s + context.settings.cool_down_s:
            return
        if windows_waiting:
            return  # the stream comes first
        # What continues a calibration says so; from an alert on, it is the drift that is answered.
        calibrating = context.episode.why is Trigger.CALIBRATION and not context.monitor.active
        if calibrating:
            flight = self.choose(Trigger.CALIBRATION)
        else:
            flight = self.choose(Trigger.DRIFT, alert_id=context.state.alert_id)
        if isinstance(flight, InFlight):
            self.start(flight)

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

    def choose(
        self, trigger: Trigger, *, alert_id: str | None = None, command_id: str | None = None
    ) -> InFlight | Wait:
        """Ask the policy; where it agrees, the place of the one running adaptation is taken."""
        context, state, episode = self._context, self._context.state, self._context.episode
        if context.reporter.outbox.full:
            return Wait("the outbox is full: what it holds has to be stored first")
        if context.quality is not None and context.quality.suspect:
            return Wait("a sensor fault: what it leaves of the signal is nothing to learn from")
        assert context.info is not None  # a wearable has been up
        if trigger is Trigger.COMMAND and not episode.open:
            now = context.newest_window
            episode.begin(max(now - context.policy.first.recent, 0), now, Trigger.COMMAND)
        decision = decide(
            context.ring,
            context.policy,
            classes=len(context.info.classes),
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
        fit = fit_beside_the_stream(context, windows, refine=context.episode.committed)
        conditions = context.conditions.read(context.statistics)
        now = datetime.now().astimezone()
        wait = context.settings.occasion.wait(fit.steps(windows), conditions, now, asked_for=forced)
        kind = None if wait is None else re.sub(r"\d", "", wait)
        if kind != self._waits_for:
            _log.info("adaptation waits" if wait else "adaptation may begin", reason=wait or "")
        self._waits_for = kind
        return wait

    def _cost_mj(self, chosen: Selection) -> float:
        """What a fit on these windows takes, by the plan's model of the device."""
        context = self._context
        fit = fit_beside_the_stream(context, len(chosen.train), refine=context.episode.committed)
        return fit.steps(len(chosen.train)) * fit.batch_size * (context.mj_per_window or 0.0)

    def start(self, flight: InFlight) -> None:
        self.tasks.create_task(self._adapt(flight), name="adaptation")

    async def _adapt(self, flight: InFlight) -> None:
        await self._run.adapt(flight)
        self._context.state.last_end_s = time.time()
        episode = self._context.episode
        if flight.trigger is Trigger.COMMAND and not (episode.committed or self._context.monitor.active):
            episode.close()
