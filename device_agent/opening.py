"""What happens when a wearable comes up: does it hold the right plan and weights, and does the source fit it?"""

from __future__ import annotations

from pathlib import Path

import structlog

from device_agent.context import Context
from device_agent.keys import look_at_keys
from device_agent.plan_files import PlanFiles, digest
from device_agent.settings import AgentSettings
from device_agent.sources.registry import Material
from device_agent.sources.source import Layout
from device_agent.state import Pushed
from device_agent.trusted import TrustedKeys
from device_agent.wearable.api import Wearable, WearableError, WearableInfo, WearableLost
from device_agent.wearer import choose_wearer
from schemas.errors import UserError
from schemas.plan import PlanError, read_plan
from schemas.plan_push import PlanStep

_log = structlog.get_logger("agent")
_RING_SLACK = 48
"""Windows at the old end of the ring that no fit is given: they may be overwritten before it starts."""
_MOST_KEPT = 2000
"""Windows that the agent keeps account of; its account is written with every message."""


async def open_wearable(context: Context, wearable: Wearable, material: Material, files: PlanFiles) -> None:
    """Raises UserError when plan, weights and source do not go together, WearableLost when the link breaks."""
    try:
        await _open(context, wearable, material, files)
    except WearableLost:
        raise
    except WearableError as error:
        raise UserError(f"the wearable refuses: {error}") from None


async def _open(context: Context, wearable: Wearable, material: Material, files: PlanFiles) -> None:
    settings, state = context.settings, context.state
    if not (state.plan.open and state.plan.report.step is PlanStep.WRITING):  # otherwise that is carried on
        await _bring_plan(context, wearable, files)
    if material.layout is not None:
        check_fits(wearable.info, material.layout)
    context.info = wearable.info
    if settings.energy_mj_per_day is not None and context.mj_per_window is None:
        context.mj_per_window = _energy(await wearable.read_plan())
    state.device_version = (await wearable.statistics()).weights_version
    context.resize_ring(max(min(wearable.info.ring_capacity - _RING_SLACK, _MOST_KEPT), 1))


async def _bring_plan(context: Context, wearable: Wearable, files: PlanFiles) -> None:
    """Plan and weights of the agent's start, or those that were pushed since."""
    settings, state = context.settings, context.state
    trusted = TrustedKeys.of(settings.trusted_keys)
    context.trust = await look_at_keys(wearable, trusted)
    new_stream = state.anchor_s is None and not state.calibrated and state.in_flight is None
    plan = None if settings.plan is None else _read(settings.plan, "--plan")
    pushed = state.plan.pushed
    if pushed is not None and state.plan.over != ("" if plan is None else digest(plan)):
        pushed = state.plan.pushed = state.plan.before = None
    if pushed is not None:
        # What was pushed outranks the start's options, as long as they are those of then.
        plan, new_stream = files.load(pushed.plan), False
    if plan is not None and (not wearable.info.plan_hash or await wearable.read_plan() != plan):
        if trusted is not None:
            trusted.check_plan(plan)
        _log.info("writing the plan to the wearable", bytes=len(plan))
        await wearable.write_plan(plan)
        new_stream = new_stream or pushed is None
    if not wearable.info.plan_hash:
        raise UserError("the wearable holds no plan: give --plan FILE and --weights FILE (see `biotrain pretrain`)")
    if settings.wearer is not None:
        await choose_wearer(wearable, settings.wearer)
    # Afterwards the wearable's own weights count: they are what it has learned.
    if new_stream or not wearable.info.weights_version:
        first = _first_weights(settings, pushed, files)
        if first is not None:
            if trusted is not None:
                trusted.check_weights(first, await wearable.read_plan(), wearable.info.device_id)
            await wearable.write_weights(first)
    if settings.wearer is not None and not wearable.info.weights_version:
        raise UserError(
            f"wearer {settings.wearer!r} has no weights for this plan on the wearable yet: give --weights FILE"
        )


def _first_weights(settings: AgentSettings, pushed: Pushed | None, files: PlanFiles) -> bytes | None:
    if pushed is None:
        return None if settings.weights is None else _read(settings.weights, "--weights")
    return None if pushed.weights is None else files.load(pushed.weights)


def _energy(plan: bytes) -> float | None:
    """Of one window trained on once, mJ; None where the plan does not say."""
    try:
        said = read_plan(plan).names.get("gap9", {}).get("energy_mj_per_sample")
    except PlanError as error:
        _log.warning("no budget of energy: the plan cannot be read", reason=str(error))
        return None
    return None if said is None else float(said)


def check_fits(info: WearableInfo, source: Layout) -> None:
    """The source must give what the wearable's plan was made for."""
    comparisons: list[tuple[str, object, object]] = [
        ("sampling rate", f"{info.sampling_rate_hz:g} Hz", f"{source.sampling_rate_hz:g} Hz"),
        ("number of channels", len(info.channels), len(source.channels)),
        ("samples per window", info.samples, source.samples),
        ("classes", ", ".join(info.classes), ", ".join(source.classes)),
    ]
    for what, expected, found in comparisons:
        if expected != found:
            raise UserError(
                f"{what}: the source ({source.name}) has {found}, the wearable's plan {info.model!r} expects "
                f"{expected}: choose a plan that was made for these recordings"
            )


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be read ({error.strerror}): check the path") from None
