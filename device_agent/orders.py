"""What an operator's commands do to one agent."""

from __future__ import annotations

from device_agent.adaptation.chooser import Chooser
from device_agent.adaptation.run import AdaptationRun
from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.listener import Execute
from device_agent.plan_change import PlanChange
from device_agent.state import InFlight
from device_agent.wearable.api import WearableError
from schemas.adaptation import Trigger
from schemas.command import Command, ReplyStatus, Verb
from schemas.state import DeviceState

_TAKEN_BACK = 80
"""Attempts in vain that an operator's roll back counts for."""
_PLAN_FIRST = "not now: a plan was pushed, and is on its way to the wearable"


class Orders:
    """`verbs` for the listener; pausing, thresholds and plans are desired state and no commands."""

    def __init__(
        self, context: Context, link: WearableLink, run: AdaptationRun, chooser: Chooser, plans: PlanChange
    ) -> None:
        self._context, self._link, self._run, self._chooser, self._plans = context, link, run, chooser, plans

    @property
    def verbs(self) -> dict[Verb, Execute]:
        return {Verb.PING: self._ping, Verb.ROLL_BACK: self._roll_back, Verb.ADAPT: self._adapt_now}

    async def _ping(self, command: Command) -> tuple[ReplyStatus, str]:
        return ReplyStatus.DONE, f"{self._context.doing}, window {self._context.newest_window}"

    async def _adapt_now(self, command: Command) -> tuple[ReplyStatus, str] | None:
        if self._run.busy or self._context.doing is not DeviceState.ONLINE:
            return ReplyStatus.REFUSED, f"not now: the agent is {self._context.doing}"
        if self._plans.pending:
            return ReplyStatus.REFUSED, _PLAN_FIRST
        flight = self._chooser.choose(
            Trigger.COMMAND, alert_id=self._context.state.alert_id, command_id=command.command_id
        )
        if not isinstance(flight, InFlight):
            return ReplyStatus.REFUSED, f"not now: {flight.reason}"
        self._chooser.start(flight)
        return None  # the adaptation's end answers

    async def _roll_back(self, command: Command) -> tuple[ReplyStatus, str]:
        wearable = self._link.wearable
        if self._plans.pending:
            return ReplyStatus.REFUSED, _PLAN_FIRST
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
