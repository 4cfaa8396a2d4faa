"""What an operator sets from afar: taken up, kept over restarts, and reported back with its version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from device_agent.context import Context
from messaging import Broker, PublishError
from schemas.desired import Desired, DeviceSettings, Reported
from schemas.plan_push import PlanReport, PlanWish
from schemas.topics import EVERY_DEVICE, DeviceTopic, Kind

_log = structlog.get_logger("agent")
_AGAIN_S = 0.5


class DesiredState:
    """`run` it as a task: it tells the version that is in force at the start, and after every change."""

    def __init__(self, context: Context, broker: Broker, wish_plan: Callable[[PlanWish], Awaitable[None]]) -> None:
        self._context, self._broker, self._wish_plan = context, broker, wish_plan
        self._own = context.settings
        """As the agent was started; what nobody sets from afar stays so."""
        self._untold = asyncio.Event()
        self._untold.set()
        self._apply()

    async def take(self, desired: Desired) -> None:
        """An older version than the one in force is passed over: the broker repeats, and order may be lost."""
        state = self._context.state
        if desired.version > state.desired_version:
            state.desired_version, state.desired = desired.version, desired.settings
            self._apply()
            await self._context.reporter.keep()
            _log.info("settings from afar", version=desired.version, **desired.settings.model_dump(exclude_none=True))
            if desired.plan is not None:
                await self._wish_plan(desired.plan)
        self.tell()

    def tell(self) -> None:
        """Something of what is reported has changed."""
        self._untold.set()

    async def run(self) -> None:
        settings = self._own
        topic = str(DeviceTopic(settings.site, settings.device, Kind.REPORTED))
        while True:
            await self._untold.wait()
            self._untold.clear()
            reported = Reported(
                site=settings.site,
                device=settings.device,
                version=self._context.state.desired_version,
                settings=self.in_force,
                plan=self._plan,
                groups=sorted(dict.fromkeys((EVERY_DEVICE, *settings.groups))),
            )
            try:
                await self._broker.publish(topic, reported.to_json(), retain=True)
            except PublishError as error:
                _log.debug("what is set could not be told yet", reason=str(error))
                self._untold.set()
                await asyncio.sleep(_AGAIN_S)

    @property
    def _plan(self) -> PlanReport:
        info, state = self._context.info, self._context.state
        runs = {"plan_hash": info.plan_hash or None, "weights_version": state.device_version} if info else {}
        return state.plan.report.model_copy(update=runs)

    @property
    def in_force(self) -> DeviceSettings:
        settings = self._context.settings
        # an agent may be started with a risk that nobody may set from afar: then it is left out
        risk = settings.risk if settings.risk < 0.5 else None
        return DeviceSettings(paused=settings.adapt == "never", risk=risk, cool_down_s=settings.cool_down_s)

    def _apply(self) -> None:
        wanted, changes = self._context.state.desired, dict[str, Any]()
        if wanted.paused is not None:
            changes["adapt"] = "never" if wanted.paused else "auto"
        if wanted.risk is not None:
            changes["risk"] = wanted.risk
        if wanted.cool_down_s is not None:
            changes["cool_down_s"] = wanted.cool_down_s
        self._context.settings = self._own.model_copy(update=changes)
