"""One adaptation on the wearable, beside the stream: fit, compare on held-out windows, commit or discard."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Literal

import structlog

from device_agent.adaptation.guard import judge, worse, worth_committing
from device_agent.adaptation.policy import Selection
from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.relay import Relay
from device_agent.settings import FitSettings
from device_agent.state import InFlight
from device_agent.wearable.api import Bank, FitRequest, Wearable, WearableError, WearableLost
from schemas.adaptation import Guard, TrainingMemory, Trigger
from schemas.state import DeviceState

_log = structlog.get_logger("agent")
_GAP = 1
"""Windows beside those of a fit that do not judge it: neighbours are too much alike."""
_FEW_LABELS = 4
"""A trial ends after this many times its windows, however few of them had labels."""
_CLEARLY = 0.05
"""Level of the test that finds a candidate worse on older windows: who allows more risk asks for no more harm."""
_LONG = 80
"""Attempts in vain that taking an episode back counts for."""
_ANSWER_TIMEOUT_S = 10.0
"""For an entry of the wearable's log that a request brings about."""


def fit_beside_the_stream(context: Context, windows: int, *, refine: bool) -> FitSettings:
    """How a fit on so many windows is run: more windows than a first fit usually has are no more steps."""
    if refine:
        return context.settings.refine
    usual = context.policy.first.recent + context.policy.first.replayed
    return context.settings.fit.in_no_more_steps(windows, usual)


class _GivenUp(Exception):
    """The run cannot go on; says why."""


class AdaptationRun:
    """Drives the one adaptation that may be in flight. Its course and end are told by the relay."""

    def __init__(self, context: Context, link: WearableLink, relay: Relay) -> None:
        self._context, self._link, self._relay = context, link, relay
        self._busy = asyncio.Lock()
        self.waits_for_windows = False
        """What a fit has made is compared on windows that are still to come."""

    @property
    def busy(self) -> bool:
        return self._busy.locked() or self._context.state.in_flight is not None

    def prepare(
        self,
        selection: Selection,
        trigger: Trigger,
        *,
        alert_id: str | None = None,
        command_id: str | None = None,
        verdict: Literal["judge", "count", "serve"] = "judge",
    ) -> InFlight:
        """Reserve the place: `busy` from here on. The caller then runs `adapt` as a task."""
        state = self._context.state
        flight = InFlight(
            adaptation_id=f"a-{int(time.time()):x}-{state.next_fit}-{secrets.token_hex(2)}",
            fit_id=state.next_fit,
            trigger=trigger,
            window=self._context.newest_window,
            from_version=state.device_version,
            train=list(selection.train),
            held_out=list(selection.held_out),
            control=list(selection.control),
            day_one=bool(selection.held_out),
            verdict=verdict,
            refine=not selection.held_out and self._context.episode.committed,
            started_s=time.time(),
            alert_id=alert_id,
            command_id=command_id,
        )
        state.next_fit += 1
        state.in_flight = flight
        return flight

    async def adapt(self, flight: InFlight) -> Guard | None:
        """From request to commit, rollback or failure. Returns the comparison, where it came to one."""
        calibrating = flight.day_one
        async with self._busy:
            if not flight.refine:  # these are too short to be a state of their own
                await self._context.enter(DeviceState.CALIBRATING if calibrating else DeviceState.ADAPTING)
            reason = "the wearable did not confirm the end"
            try:
                await self._fit_and_judge(await self._link.up(), flight)
            except WearableLost as error:
                reason = f"the link to the wearable broke during the adaptation: {error}"
            except (WearableError, _GivenUp) as error:
                reason = str(error)
                if isinstance(error, WearableError) and error.code == "UNKNOWN_WINDOW":
                    self._context.ring.forget()  # our account of its ring is wrong: begin a new one
            if not self._ended(flight):
                await self._abandon(flight, reason)
            if not calibrating:
                await self._look_back()
            if not (calibrating or flight.refine):
                await self._context.enter(DeviceState.ONLINE)
        return flight.guard

    async def recover(self) -> None:
        """After a restart of the agent: what was in flight is ended, its candidate dropped."""
        flight = self._context.state.in_flight
        if flight is not None:
            async with self._busy:
                await self._abandon(flight, "the agent was restarted during the adaptation")

    def _ended(self, flight: InFlight) -> bool:
        return self._context.state.in_flight is not flight

    async def _fit_and_judge(self, wearable: Wearable, flight: InFlight) -> None:
        fit = self._how(flight)
        if self._context.mj_per_window is not None:
            flight.energy_mj = fit.steps(len(flight.train)) * fit.batch_size * self._context.mj_per_window
        await wearable.start_fit(
            FitRequest(
                fit_id=flight.fit_id,
                window_ids=flight.train,
                epochs=fit.epochs,
                batch_size=fit.batch_size,
                learning_rate=fit.learning_rate,
                momentum=fit.momentum,
                weight_decay=fit.weight_decay,
                seed=fit.seed + flight.fit_id,
            )
        )
        if not await self._until_or_lost(wearable, flight, fit.timeout_s):
            raise _GivenUp(f"the fit did not end within {fit.timeout_s:g} s")
        if self._ended(flight):
            return
        statistics = await wearable.statistics()
        flight.memory = self._context.state.training_memory = TrainingMemory(
            total_bytes=statistics.total_bytes,
            resident_bytes=statistics.resident_bytes,
            l2_bytes=statistics.l2_peak_bytes,
        )
        if flight.day_one:
            good = await self._judge_by_held_out(wearable, flight)
        elif flight.refine:
            good = await self._judge_refinement(wearable, flight)
        else:
            good = await self._try_out(wearable, flight)
        if self._ended(flight) or flight.guard is None:
            return
        guard = flight.guard
        figures = f"{guard.before_correct} -> {guard.after_correct} of {guard.held_out} unseen windows right"
        flight.reason = f"{figures}, p = {guard.p_value:.3g}, allowed {guard.risk:g}{flight.reason}"
        flight.decision = "commit" if good else "discard"
        await self._context.reporter.keep()  # before the wearable is told
        if good:
            await wearable.commit(refine=flight.refine)
        else:
            await wearable.discard()
        await self._context.changed.until(lambda: self._ended(flight), _ANSWER_TIMEOUT_S)

    def _how(self, flight: InFlight) -> FitSettings:
        if flight.day_one:
            return self._context.settings.calibration
        return fit_beside_the_stream(self._context, len(flight.train), refine=flight.refine)

    async def _judge_by_held_out(self, wearable: Wearable, flight: InFlight) -> bool:
        if flight.verdict == "serve":
            return True
        before = await wearable.evaluate(flight.held_out, Bank.SERVING)
        after = await wearable.evaluate(flight.held_out, Bank.CANDIDATE)
        labels = self._context.ring.labels(flight.held_out)
        flight.outcomes = list(zip(labels, before, after, strict=True))
        # Half of the risk: where this is refused, the parts are asked as well.
        flight.guard = judge(labels, before, after, self._context.settings.risk / 2)
        if flight.verdict == "count":
            flight.reason = ": one of several parts"
            return False
        return worth_committing(flight.guard)

    async def _try_out(self, wearable: Wearable, flight: InFlight) -> bool:
        """Compare on what comes after the windows of the fit, until the episode is proven or others should be tried."""
        context, episode = self._context, self._context.episode
        most = context.policy.command_trial if flight.trigger is Trigger.COMMAND else context.policy.trial
        deadline_s = time.monotonic() + self._how(flight).timeout_s
        while True:
            after = max(episode.judged_until, flight.window + _GAP)
            new = [kept for kept in context.ring.labelled() if kept.id > after]
            if new:
                ids, labels = [kept.id for kept in new], [kept.label for kept in new]
                was = await wearable.evaluate(ids, Bank.SERVING)
                now = await wearable.evaluate(ids, Bank.CANDIDATE)
                for id_, label, old, course in zip(ids, labels, was, now, strict=True):
                    episode.compare(id_, course == label, old == label)
                flight.held_out += ids
            flight.guard = episode.guard()
            over = len(flight.held_out) >= most or context.newest_window - flight.window > _FEW_LABELS * most
            if episode.better.proven or over or context.stream_over or time.monotonic() > deadline_s:
                return episode.better.proven and await self._keeps_old_skills(wearable, flight)
            await self._next_window(wearable, deadline_s)

    async def _next_window(self, wearable: Wearable, deadline_s: float) -> None:
        """Or the end of the stream, or of the time for it."""
        context, newest = self._context, self._context.newest_window
        self.waits_for_windows = True
        try:
            await context.changed.until(
                lambda: context.newest_window > newest or context.stream_over or self._link.wearable is not wearable,
                deadline_s - time.monotonic(),
            )
        finally:
            self.waits_for_windows = False
        if self._link.wearable is not wearable:
            raise WearableLost("the stream of events ended")

    async def _judge_refinement(self, wearable: Wearable, flight: InFlight) -> bool:
        """As long as the course is proven, and unless old skills are seen to go."""
        episode = self._context.episode
        flight.guard = episode.guard()
        if not episode.better.standing:
            flight.reason = ": of late the weights from before have been right more often"
            return False
        return await self._keeps_old_skills(wearable, flight)

    async def _keeps_old_skills(self, wearable: Wearable, flight: InFlight) -> bool:
        """Not worse on older windows. Labels that are wrong from some day on are found out here, too."""
        if not flight.control:
            return True
        labels = self._context.ring.labels(flight.control)
        before = await wearable.evaluate(flight.control, Bank.SERVING)
        after = await wearable.evaluate(flight.control, Bank.CANDIDATE)
        if worse(judge(labels, after, before, _CLEARLY)):
            flight.reason = ": worse on older windows"
            return False
        return True

    async def _look_back(self) -> None:
        """What the weights from before the episode say of the windows that its own have served, and who was right."""
        context, episode, wearable = self._context, self._context.episode, self._link.wearable
        if wearable is None or not episode.committed:
            return
        served = context.ring.labelled(lambda kept: kept.id > episode.judged_until and kept.predicted is not None)
        try:
            before = await wearable.evaluate([kept.id for kept in served], Bank.PREVIOUS) if served else []
            for kept, old in zip(served, before, strict=True):
                episode.compare(kept.id, kept.predicted == kept.label, old == kept.label)
            if episode.worse.proven:
                _log.warning("the weights from before the episode are better: they come back")
                context.state.device_version = await wearable.roll_back()
                context.state.failures = _LONG
                episode.close()
                await context.reporter.keep()
        except WearableLost:
            self._link.lost(wearable)
        except WearableError as error:
            _log.warning("the episode cannot be looked back on, and ends", reason=str(error))
            episode.close()

    async def _until_or_lost(self, wearable: Wearable, flight: InFlight, timeout_s: float) -> bool:
        """False after `timeout_s`. Raises WearableLost with the link."""
        await self._context.changed.until(
            lambda: self._relay.fit_done == flight.fit_id or self._ended(flight) or self._link.wearable is not wearable,
            timeout_s,
        )
        if self._ended(flight) or self._relay.fit_done == flight.fit_id:
            return True
        if self._link.wearable is not wearable:
            raise WearableLost("the stream of events ended")
        return False

    async def _abandon(self, flight: InFlight, reason: str) -> None:
        """Look at what the wearable's log says of its end; where it has none, drop the candidate and say failed."""
        while not self._ended(flight):
            wearable = await self._link.up()
            try:
                await self._settle(wearable, flight, reason)
            except WearableLost:
                self._link.lost(wearable)
                await self._context.changed.until(lambda: self._link.wearable is None, _ANSWER_TIMEOUT_S)
            except WearableError as error:
                await self._relay.fail(flight, f"{reason}; {error}")

    async def _settle(self, wearable: Wearable, flight: InFlight, reason: str) -> None:
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        statistics = await wearable.statistics()
        while statistics.events_pending and not self._ended(flight) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            statistics = await wearable.statistics()
        if self._ended(flight):
            return
        if flight.decision != "discard":
            flight.decision, flight.reason = "abandon", reason
            await self._context.reporter.keep()
        if statistics.fitting:
            await wearable.stop_fit()
        elif statistics.candidate:
            await wearable.discard()
        else:
            await self._relay.fail(flight, flight.reason)
            return
        if not await self._context.changed.until(lambda: self._ended(flight), _ANSWER_TIMEOUT_S):
            await self._relay.fail(flight, flight.reason)
