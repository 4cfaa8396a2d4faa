"""One adaptation on the wearable, beside the stream: fit, compare on held-out windows, commit or discard."""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog

from device_agent.adaptation.guard import judge, worth_committing
from device_agent.adaptation.policy import Selection
from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.relay import Relay
from device_agent.state import InFlight
from device_agent.wearable.api import Bank, FitRequest, Wearable, WearableError, WearableLost
from schemas.adaptation import Guard, TrainingMemory, Trigger
from schemas.state import DeviceState

_log = structlog.get_logger("agent")
_ANSWER_TIMEOUT_S = 10.0
"""For an entry of the wearable's log that a request brings about."""


class _GivenUp(Exception):
    """The run cannot go on; says why."""


class AdaptationRun:
    """Drives the one adaptation that may be in flight. Its course and end are told by the relay."""

    def __init__(self, context: Context, link: WearableLink, relay: Relay) -> None:
        self._context, self._link, self._relay = context, link, relay
        self._busy = asyncio.Lock()

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
            started_s=time.time(),
            alert_id=alert_id,
            command_id=command_id,
        )
        state.next_fit += 1
        state.in_flight = flight
        return flight

    async def adapt(self, flight: InFlight) -> Guard | None:
        """From request to commit, rollback or failure. Returns the comparison, where it came to one."""
        calibrating = flight.trigger is Trigger.CALIBRATION
        async with self._busy:
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
        settings = self._context.settings
        fit = settings.calibration if flight.trigger is Trigger.CALIBRATION else settings.fit
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
        flight.held_out += self._context.newer_than(flight.window)
        before = await wearable.evaluate(flight.held_out, Bank.SERVING)
        after = await wearable.evaluate(flight.held_out, Bank.CANDIDATE)
        labels = self._context.ring.labels(flight.held_out)
        flight.guard = guard = judge(labels, before, after, self._context.settings.risk)
        figures = f"{guard.before_correct} -> {guard.after_correct} of {guard.held_out} held-out windows right"
        flight.reason = f"{figures}, p = {guard.p_value:.3g}, allowed {guard.risk:g}"
        flight.decision = "commit" if worth_committing(guard) else "discard"
        await self._context.reporter.keep()  # before the wearable is told
        if flight.decision == "commit":
            await wearable.commit()
        else:
            await wearable.discard()
        await self._context.changed.until(lambda: self._ended(flight), _ANSWER_TIMEOUT_S)

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
