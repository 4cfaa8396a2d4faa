"""The loop: windows in, predictions and messages out, and a model that is kept accurate beside it.

Read `Agent` first: what it is made of (`__init__`), what runs side by side (`run`), and the stream (`_stream`). Each
window's way is in `windows`, when the model is adapted in `adaptation/chooser`, one adaptation from fit to commit in
`adaptation/run`, what leaves in `outbox` and `publisher`, what comes in from afar in `listener`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from device_agent.adaptation.chooser import Chooser
from device_agent.adaptation.run import AdaptationRun
from device_agent.calibration import calibrate
from device_agent.context import Context
from device_agent.desired import DesiredState
from device_agent.frozen import open_frozen
from device_agent.heartbeat import Heartbeat
from device_agent.labelling import Labelling
from device_agent.link import WearableLink
from device_agent.listener import Listener
from device_agent.opening import open_wearable
from device_agent.orders import Orders
from device_agent.plan_change import PlanChange
from device_agent.plan_fetch import PlanFetch
from device_agent.plan_files import PlanFiles
from device_agent.publisher import Publisher
from device_agent.relay import Relay
from device_agent.sources.registry import Material
from device_agent.sources.source import Start, WindowSource
from device_agent.wearable.api import Wearable
from device_agent.windows import Windows
from messaging import Broker
from schemas.fault import FaultKind
from schemas.state import DeviceState

_log = structlog.get_logger("agent")
Connect = Callable[[], Awaitable[Wearable]]


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
        self._context, self._material, self._files = context, material, files
        self._connect_frozen = connect_frozen

        # the wearable: its link, and everything its log tells
        relay = Relay(context)
        self._link = WearableLink(
            connect, relay.pass_on, context.changed, on_up=self._wearable_up, on_down=self._wearable_down
        )

        # what is told to the supervisor
        self._publisher = Publisher(context.reporter, broker, resend_after_s=context.settings.resend_after_s)
        self._heartbeat = Heartbeat(context, self._link)

        # what an operator asks from afar: another plan, other settings, a command
        fetch = PlanFetch(context.settings, broker)
        self._run = AdaptationRun(context, self._link, relay)
        self._plans = PlanChange(
            context, self._link, fetch, files, adapting=lambda: self._run.busy, tell=lambda: self._desired.tell()
        )
        self._desired = DesiredState(context, broker, self._plans.wish)
        self._chooser = Chooser(context, self._run, plan_pending=lambda: self._plans.pending)
        orders = Orders(context, self._link, self._run, self._chooser, self._plans)
        self._listener = Listener(context, broker, orders.verbs, self._desired.take, fetch.take)

        # each window's way, and labels that come after it
        self._labelling = Labelling(context, self._link)
        self._windows = Windows(context, self._link, self._labelling, self._plans)

    @property
    def adapting(self) -> bool:
        """The device trains or judges; whoever need not keep to a wall clock may wait until it has what it needs."""
        return self._run.busy and not self._run.waits_for_windows

    async def run(self) -> None:
        services: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            self._chooser.tasks = tasks
            for name, service in (
                ("publisher", self._publisher.run()),
                ("listener", self._listener.run()),
                ("link", self._link.run()),
                ("heartbeat", self._heartbeat.run()),
                ("late labels", self._labelling.run()),
                ("desired state", self._desired.run()),
                ("plans", self._plans.run()),
            ):
                services[name] = tasks.create_task(service, name=name)
            try:
                await self._context.enter(DeviceState.STARTING, "the agent has started")
                await self._prepare()
                await self._stream()
                await self._adaptation_ends()
                services["heartbeat"].cancel()  # nothing new is said while the last words are being stored
                await self._finish()
            finally:
                for task in services.values():
                    task.cancel()
                await self._windows.close()

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
            self._windows.frozen = await open_frozen(
                self._context.settings.state_dir, await self._link.up(), self._connect_frozen, fresh=fresh
            )

    async def _stream(self) -> None:
        """Test, then train: a window is predicted and counted before anything may learn from it."""
        context = self._context
        wearable = await self._link.up()
        source = self._open_source()
        await self._windows.open(wearable.info, self._material)
        await context.enter(DeviceState.ONLINE)
        async with source:
            async for item in source:
                self._windows.count_lost(source.lost)
                await self._windows.take(item)
                self._chooser.consider(source.windows_waiting)
        self._windows.count_lost(source.lost)
        context.stream_over = True
        context.changed.notify()

    def _open_source(self) -> WindowSource:
        """From its beginning, or where a run before this one left it."""
        context, settings, state = self._context, self._context.settings, self._context.state
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
        state.anchor_s = source.anchor_s
        context.source_health = lambda: source.health
        return source

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
