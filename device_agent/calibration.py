"""Day 1: the model of other people is tuned to this wearer on labelled windows, before the stream begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from device_agent.adaptation.folds import blocks
from device_agent.adaptation.guard import judge, worse, worth_committing
from device_agent.adaptation.policy import Selection
from device_agent.adaptation.run import AdaptationRun
from device_agent.adaptation.wearer_filter import aligned_weights, is_aligned
from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.sources.recording import Recording
from device_agent.sources.timeline import Timeline
from device_agent.wearable.api import Bank, Wearable, WearableLost
from schemas.adaptation import Trigger
from schemas.state import DeviceState

_log = structlog.get_logger("agent")
_GAP = 1
"""Windows between those that are trained on and those that judge: neighbours are too much alike."""
_PARTS = 4
"""Of the session, where its last windows prove nothing: each is left out once."""
_TRAIN_SHARE = 0.8
"""The first part is trained on, the rest judges: the protocol of the BioTrain paper."""


async def calibrate(context: Context, link: WearableLink, run: AdaptationRun, recording: Recording) -> None:
    """Push, fit, judge; then take from windows that did not teach what is normal for this wearer."""
    await context.enter(DeviceState.CALIBRATING, f"{len(recording)} windows of session {recording.session}")
    await _again_when_lost(link, lambda wearable: _push(context, wearable, recording))
    await _again_when_lost(link, lambda wearable: _align(context, wearable, recording))
    split = round(_TRAIN_SHARE * len(recording))
    everything = [kept.id for kept in context.ring.labelled()]
    train = [window for window in everything if window < split]
    held_out = [window for window in everything if window >= split + _GAP]
    before = context.state.device_version
    told: list[tuple[int, int, int]] = []
    if train and held_out:
        flight = run.prepare(Selection(tuple(train), tuple(held_out)), Trigger.CALIBRATION)
        await run.adapt(flight)
        told = flight.outcomes
        if flight.guard is not None and context.state.device_version == before:
            told = await _in_parts(context, run, everything)
    if context.state.device_version != before:
        _take_reference(context, told)
        # Nothing of calibration is held out from later fits: its windows have been judged and are replayed.
        context.ring.mark_trained(everything)
    else:
        # Too short a session to prove anything: what it has shown is kept, and the stream goes on with it.
        context.episode.begin(0, len(recording), Trigger.CALIBRATION)
        _log.info("calibration goes on beside the stream", windows=len(everything))
    context.state.calibrated = True
    context.state.home_until = len(recording)
    context.state.last_attempt_window = None
    context.state.failures = 0
    await context.reporter.keep()


async def _in_parts(context: Context, run: AdaptationRun, windows: list[int]) -> list[tuple[int, int, int]]:
    """Too few to judge by: every window judges a fit that has not seen it, and if that proves something, all teach."""
    told: list[tuple[int, int, int]] = []
    for part in blocks(len(windows), _PARTS):
        left_out = {windows[i] for i in part}
        near = {windows[j] for i in part for j in (i - _GAP, i + _GAP) if 0 <= j < len(windows)}
        rest = tuple(window for window in windows if window not in left_out | near)
        if not rest or not left_out:
            return []
        flight = run.prepare(Selection(rest, tuple(sorted(left_out))), Trigger.CALIBRATION, verdict="count")
        await run.adapt(flight)
        if not flight.outcomes:
            return []  # it failed, and said so
        told += flight.outcomes
    labels, before, after = zip(*told, strict=True)
    guard = judge(labels, before, after, context.settings.risk / 2)
    _log.info("calibration in parts", windows=len(told), before=guard.before_correct, after=guard.after_correct)
    if worth_committing(guard):
        flight = run.prepare(Selection(tuple(windows), tuple(windows)), Trigger.CALIBRATION, verdict="serve")
        flight.guard = guard
        await run.adapt(flight)
    return told


async def _push(context: Context, wearable: Wearable, recording: Recording) -> None:
    context.ring.forget()
    timeline, quality = Timeline([recording]), context.signal_quality(wearable.info.channels)
    for index in range(len(timeline)):
        window = timeline.window(index, timeline.end_s(index))
        report = await wearable.push(window)
        usable = not (report.flat_channels or report.saturated_channels)
        context.ring.add(window.id, window.label, usable, report.predicted)
        if usable:
            quality.learn(window)
        context.state.last_window = window.id


async def _align(context: Context, wearable: Wearable, recording: Recording) -> None:
    """The wearer's own spatial filter, where the plan has one. It needs no label; where labels prove that the network
    is worse with it, what was there before comes back."""
    plan = await wearable.read_plan()
    if not is_aligned(plan):
        return
    before = await wearable.read_weights()
    timeline, usable = Timeline([recording]), {kept.id for kept in context.ring.usable()}
    windows = (timeline.window(index, timeline.end_s(index)) for index in range(len(timeline)))
    aligned = await asyncio.to_thread(aligned_weights, plan, before, [w for w in windows if w.id in usable])
    if aligned is None:
        _log.warning("too few windows, or flat ones: the network runs without this wearer's alignment")
        return
    asked = [kept.id for kept in context.ring.labelled()]
    was = await wearable.evaluate(asked, Bank.SERVING) if asked else []
    await wearable.write_weights(aligned)
    now = await wearable.evaluate(asked, Bank.SERVING) if asked else []
    labels = context.ring.labels(asked)
    guard = judge(labels, now, was, context.settings.risk)
    if worse(guard):
        await wearable.write_weights(before)
    context.state.device_version = (await wearable.statistics()).weights_version
    _log.info(
        "alignment is taken back: labels prove it worse" if worse(guard) else "aligned to this wearer",
        windows=len(usable), right_before=guard.after_correct, right_after=guard.before_correct, of=guard.held_out,
    )  # fmt: skip


def _take_reference(context: Context, told: list[tuple[int, int, int]]) -> None:
    """The error rate on windows that were not trained on; they also open the count of the time before drift."""
    errors = sum(after != label for label, _, after in told)
    # One error more than was seen (Laplace's rule): no error among forty windows does not promise none for ever.
    context.state.reference_error = (errors + 1) / (len(told) + 2)
    context.monitor.reset(context.state.reference_error)
    for label, _, after in told:
        context.state.before_drift.add(after == label)
    _log.info("calibrated", held_out=len(told), errors=errors, reference_error=context.state.reference_error)


async def _again_when_lost(link: WearableLink, work: Callable[[Wearable], Awaitable[None]]) -> None:
    while True:
        wearable = await link.up()
        try:
            return await work(wearable)
        except WearableLost:
            link.lost(wearable)
