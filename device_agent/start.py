"""From settings to a running agent: what is opened in which order, and how it is closed again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from pydantic import ValidationError

from device_agent.agent import Agent, Connect, say_offline
from device_agent.context import Context
from device_agent.drift.registry import error_detector
from device_agent.listener import subscriptions
from device_agent.outbox import Identity, Outbox
from device_agent.outlets.registry import open_outlet
from device_agent.plan_files import PlanFiles
from device_agent.recorder.files import check_target
from device_agent.reporter import Reporter
from device_agent.sealing import Seal
from device_agent.settings import AgentSettings
from device_agent.sources.labels import LabelTiming
from device_agent.sources.live import LiveOptions
from device_agent.sources.registry import Material, SourceOptions, open_source
from device_agent.state import AgentState
from device_agent.wearable.api import Wearable
from messaging import Broker, BrokerSettings, ClientIdentity, Will
from messaging.settings import DEFAULT_PORT, TLS_PORT, parse_address
from schemas.errors import UserError
from schemas.principal import Role
from schemas.state import DeviceState, State
from schemas.topics import DeviceTopic, Kind

_log = structlog.get_logger("agent")


async def run_agent(
    settings: AgentSettings,
    *,
    ready: Callable[[dict[str, Any]], None] = lambda line: None,
    connect: Connect | None = None,
    connect_frozen: Connect | None = None,
) -> dict[str, Any]:
    """Run until the source has ended (returns the totals) or the task is cancelled. Raises UserError."""
    material = _open_source(settings)
    if settings.compare_frozen and not material.fed:
        raise UserError(
            f"--compare-frozen with --source {settings.source}: the signal stays on the wearable, and a copy of the "
            "model here sees nothing of it: leave --compare-frozen out"
        )
    if settings.record is not None:
        if not material.fed:
            raise UserError(
                f"--record with --source {settings.source}: the signal stays on the wearable: leave --record out"
            )
        check_target(settings.record)
    error_detector(settings.detector, None)  # a name that is not known is said now, not at the first window
    for address in settings.predictions:
        open_outlet(address)  # so is an address that cannot be
    secret = _load_identity(settings)
    host, port = parse_address(settings.broker, default_port=DEFAULT_PORT if secret is None else TLS_PORT)
    topic = DeviceTopic(settings.site, settings.device, Kind.STATE)
    str(topic)  # names that no topic can carry
    identity = Identity(settings.site, settings.device, settings.wearer)
    seal = None if settings.key_file is None else Seal.load(settings.key_file)
    outbox = Outbox.open(settings.state_dir, identity, quota_bytes=round(settings.outbox_quota_mb * 1e6), seal=seal)
    try:
        context = Context(settings, _load_state(outbox, settings))
    except BaseException:
        outbox.close()
        raise
    context.reporter = Reporter(outbox, context.state, context.refresh)
    will = State(
        site=settings.site,
        device=settings.device,
        wearer=settings.wearer,
        boot=outbox.boot,
        seq=0,
        state=DeviceState.OFFLINE,
        detail="the connection was lost",
    )
    broker = Broker(
        BrokerSettings(
            host=host, port=port, client_id=f"biotrain-agent-{settings.site}-{settings.device}", identity=secret
        ),
        subscriptions=subscriptions(settings.site, settings.device, settings.groups),
        will=Will(str(topic), will.to_json()),
    )
    agent = Agent(
        context,
        material,
        broker,
        PlanFiles(settings.state_dir, seal),
        connect=connect or _connector(settings),
        connect_frozen=connect_frozen or _local_connector(),
    )
    try:
        async with broker:
            ready(
                {
                    "ready": True,
                    "device": settings.device,
                    "boot": outbox.boot,
                    "resumed": context.state.anchor_s is not None,
                }
            )
            try:
                await agent.run()
            except BaseExceptionGroup as group:
                raise _first(group) from None
            except asyncio.CancelledError:
                with contextlib.suppress(UserError):
                    await say_offline(context, broker)
                raise
            return totals(context)
    finally:
        context.reporter.close()


def totals(context: Context) -> dict[str, Any]:
    """The numbers at a stream's end, under the names of `biotrain demo --json`."""
    state, counts = context.state, context.reporter.outbox.counts
    memory = state.training_memory
    return {
        "windows": state.windows,
        "windows_dropped": state.windows_dropped,
        "accuracy": {
            "before_drift": state.before_drift.accuracy,
            "after_drift": state.frozen.accuracy,
            "after_adaptation": state.adapted.accuracy,
        },
        "drift_alerts": state.drift_alerts,
        "adaptations": {
            "started": state.started,
            "committed": state.committed,
            "rolled_back": state.rolled_back,
            "failed": state.failed,
        },
        # What an earlier stream left in the outbox goes out with this one.
        "published": counts.given - counts.thinned - state.stored_before,
        "stored": counts.stored - state.stored_before,
        "device": None if memory is None else memory.model_dump(),
    }


def _load_identity(settings: AgentSettings) -> ClientIdentity | None:
    """The broker would drop what another device's certificate publishes without a word; so it is said here."""
    if settings.identity is None:
        return None
    identity = ClientIdentity.load(settings.identity)
    holder, wanted = identity.principal, f"{settings.site}/{settings.device}"
    if holder.role is not Role.DEVICE or f"{identity.site}/{holder.name}" != wanted:
        raise UserError(
            f"{settings.identity}: the certificate is one of {holder.role} {identity.site}/{holder.name}, and this "
            f"agent is device {wanted}: give --identity, --site and --device that belong together"
        )
    return identity


def _open_source(settings: AgentSettings) -> Material:
    return open_source(
        settings.source,
        SourceOptions(
            data=settings.data,
            subject=settings.subject,
            sessions=settings.sessions,
            calibrate_session=settings.calibrate_session,
            calibrate_windows=settings.calibrate_windows,
            seed=settings.seed,
            trials=settings.trials,
            stream=settings.stream,
            markers=settings.markers,
            live=LiveOptions(settings.hop_s, settings.start_s),
            labels=LabelTiming(settings.label_delay_s, settings.label_share),
        ),
    )


def _fingerprint(settings: AgentSettings) -> str:
    """Names a stream: the same source at the same pace for the same wearer."""
    names = (
        "wearer",
        "source",
        "data",
        "subject",
        "sessions",
        "calibrate_session",
        "calibrate_windows",
        "seed",
        "trials",
        "stream",
        "markers",
        "hop_s",
        "start_s",
        "label_delay_s",
        "label_share",
    )
    chosen = settings.model_dump(mode="json", include={*names, "speed"})
    return hashlib.sha256(repr(sorted(chosen.items())).encode()).hexdigest()[:16]


def _load_state(outbox: Outbox, settings: AgentSettings) -> AgentState:
    """The state of the run before, when it was on the same stream and did not finish it; else a new one, with what is
    known of its wearer. Weights that are written anew make that other weights' errors, and it begins without them."""
    stream, wearer = _fingerprint(settings), settings.wearer or ""
    kept = outbox.state()
    before = AgentState()
    if kept is not None:
        try:
            before = AgentState.model_validate_json(kept)
        except ValidationError as error:
            _log.warning("the kept state cannot be read; a new stream begins", reason=str(error)[:200])
    if before.stream == stream and not before.finished:
        return before
    filed = before.wearers | {before.wearer: before.memory_of(before.wearer)}
    known = filed.get(wearer) if settings.weights is None else None
    return AgentState(
        stream=stream,
        wearer=wearer,
        wearers=filed,
        reference_error=None if known is None else known.reference_error,
        next_fit=before.next_fit,
        in_flight=before.in_flight,
        open_commands=before.open_commands,
        desired=before.desired,
        desired_version=before.desired_version,
        plan=before.plan,
        stored_before=outbox.counts.stored,
    )


def _connector(settings: AgentSettings) -> Connect:
    """A wearable in this process keeps in the state folder what a device of its own would keep in itself."""
    from device_agent.wearable.connect import connect

    folder, name = settings.state_dir, settings.device[:23]
    return lambda: connect(
        settings.wearable,
        storage=folder / "wearable.flash",
        external=folder / "wearable.memory",
        log=folder / "wearable.jsonl",
        device_id=name,
    )


def _local_connector() -> Callable[[], Awaitable[Wearable]]:
    from device_agent.wearable.connect import connect

    return lambda: connect("local")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a person can mend comes first; otherwise the first that went wrong."""
    errors: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            errors.append(error)
    return next((error for error in errors if isinstance(error, UserError)), errors[0])
