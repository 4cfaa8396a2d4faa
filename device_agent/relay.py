"""From an entry of the wearable's log to a message: each entry once, and only then may the wearable forget it."""

from __future__ import annotations

import time
from typing import Any

import structlog

from device_agent.context import Context
from device_agent.outbox import DeviceEntry, Draft
from device_agent.state import InFlight
from device_agent.wearable.api import DeviceEvent, DeviceEventKind
from schemas.adaptation import Phase
from schemas.base import DeviceEventId
from schemas.command import ReplyStatus
from schemas.topics import Kind

_log = structlog.get_logger("agent")
_PHASES = {Phase.COMMITTED: "committed", Phase.ROLLED_BACK: "rolled_back", Phase.FAILED: "failed"}


class Relay:
    """Also keeps the books of the adaptation in flight, since its course is what the wearable tells."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.fit_done: int | None = None
        """The fit whose candidate is ready."""

    async def pass_on(self, event: DeviceEvent, device: str) -> None:
        entry = DeviceEntry(device, event.boot, event.seq, f"{event.kind.name} {event.time_us}")
        if await self._context.reporter.was_relayed(entry):
            return
        flight = self._context.state.in_flight
        ours = flight is not None and event.fit_id in (0, flight.fit_id)
        drafts = self._of_adaptation(event, flight) if ours and flight is not None else []
        if not drafts:
            drafts = [self._as_state(event)]
        identity = DeviceEventId(boot=event.boot, seq=event.seq)
        first, *rest = drafts
        # The entry is named by one message; what else follows from it (a reply) is the agent's own.
        await self._context.reporter.put(
            Draft(first.kind, {**first.fields, "device_event": identity}), *rest, entry=entry
        )
        self._context.changed.notify()

    async def fail(self, flight: InFlight, reason: str) -> None:
        """End an adaptation that the wearable's log does not end."""
        drafts = [] if flight.started else [self._started(flight)]
        await self._context.reporter.put(*drafts, *self._ended(flight, Phase.FAILED, reason))
        self._context.changed.notify()

    def _of_adaptation(self, event: DeviceEvent, flight: InFlight) -> list[Draft]:
        course = {"step": event.step, "steps": event.steps, "epoch": event.epoch}
        match event.kind:
            case DeviceEventKind.FIT_STARTED:
                return [self._started(flight, **course)]
            case DeviceEventKind.FIT_PROGRESS | DeviceEventKind.FIT_DONE:
                done = event.kind is DeviceEventKind.FIT_DONE
                if done:
                    self.fit_done = flight.fit_id
                reason = "the new weights are ready to be judged" if done else ""
                return [_message(flight, Phase.PROGRESS, self._window, **course, loss=event.loss, reason=reason)]
            case DeviceEventKind.FIT_FAILED:
                return self._ended(
                    flight, Phase.FAILED, f"the fit failed on the wearable: {event.detail or 'no reason given'}"
                )
            case DeviceEventKind.COMMITTED:
                self._context.state.device_version = event.weights_version
                reason = flight.reason or "better on held-out windows"
                return self._ended(flight, Phase.COMMITTED, reason, to_version=event.weights_version)
            case DeviceEventKind.DISCARDED if flight.decision == "discard":
                return self._ended(flight, Phase.ROLLED_BACK, flight.reason)
            case DeviceEventKind.DISCARDED:
                return self._ended(flight, Phase.FAILED, flight.reason or "the wearable dropped the new weights")
        return []

    def _as_state(self, event: DeviceEvent) -> Draft:
        """Entries that belong to no adaptation of this agent."""
        if event.kind in (DeviceEventKind.WEIGHTS_WRITTEN, DeviceEventKind.ROLLED_BACK, DeviceEventKind.COMMITTED):
            state = self._context.state
            state.remember(event.kind.name.lower(), state.device_version, event.weights_version)
            state.device_version = event.weights_version
        what = event.kind.name.lower().replace("_", " ")
        detail = f"wearable: {what}" + (f", {event.detail}" if event.detail else "")
        return self._context.state_draft(self._context.doing, detail)

    @property
    def _window(self) -> int:
        return self._context.newest_window

    def _started(self, flight: InFlight, **course: Any) -> Draft:
        flight.started = True
        if not flight.day_one:
            self._context.state.started += 1
        return _message(flight, Phase.STARTED, self._window, **course)

    def _ended(self, flight: InFlight, phase: Phase, reason: str, **more: Any) -> list[Draft]:
        context, state = self._context, self._context.state
        state.in_flight = None
        state.last_attempt_window = flight.window if flight.refine else self._window
        state.failures = 0 if phase is Phase.COMMITTED else state.failures + 1
        if not flight.day_one:
            setattr(state, _PHASES[phase], getattr(state, _PHASES[phase]) + 1)
        if phase is Phase.COMMITTED:
            state.alert_id = None
            context.ring.mark_trained(flight.train)
            if not (flight.day_one or flight.refine):
                context.episode.serve(self._window)
                if context.settings.adapt == "never":
                    context.episode.close()  # one fit was asked for, and no more
                context.monitor.reset()
        state.remember(str(phase), flight.from_version, more.get("to_version"))
        _log.info("adaptation ended", phase=str(phase), reason=reason, adaptation=flight.adaptation_id)
        drafts = [
            _message(flight, phase, self._window, reason=reason, duration_s=time.time() - flight.started_s, **more)
        ]
        if flight.command_id is not None:
            state.open_commands = [known for known in state.open_commands if known != flight.command_id]
            status = ReplyStatus.FAILED if phase is Phase.FAILED else ReplyStatus.DONE
            detail = f"{phase}: {reason}"[:500]
            drafts.append(Draft(Kind.REPLY, {"command_id": flight.command_id, "status": status, "detail": detail}))
        return drafts


def _message(flight: InFlight, phase: Phase, window: int, *, reason: str = "", **more: Any) -> Draft:
    if more.get("duration_s", 0.0) < 0:
        more["duration_s"] = None  # the clock was set back meanwhile
    fields = {
        "adaptation_id": flight.adaptation_id,
        "phase": phase,
        "trigger": flight.trigger,
        "alert_id": flight.alert_id,
        "command_id": flight.command_id,
        "window": window,
        "train_windows": len(flight.train),
        "guard": flight.guard,
        "memory": flight.memory,
        "energy_mj": flight.energy_mj,
        "from_version": flight.from_version,
        "reason": reason[:500],
        **more,
    }
    return Draft(Kind.ADAPTATION, fields)
