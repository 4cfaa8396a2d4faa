"""Day 1: the model of other people is tuned to this wearer on labelled windows, before the stream begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from device_agent.adaptation.policy import Selection
from device_agent.adaptation.run import AdaptationRun
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
_TRAIN_SHARE = 0.8
"""The first part is trained on, the rest judges: the protocol of the BioTrain paper."""


async def calibrate(context: Context, link: WearableLink, run: AdaptationRun, recording: Recording) -> None:
    """Push, fit, judge; then take from the held-out windows what is normal for this wearer."""
    await context.enter(DeviceState.CALIBRATING, f"{len(recording)} windows of session {recording.session}")
    await _again_when_lost(link, lambda wearable: _push(context, wearable, recording))
    split = round(_TRAIN_SHARE * len(recording))
    train = [kept.id for kept in context.ring.labelled(lambda kept: kept.id < split)]
    held_out = [kept.id for kept in context.ring.labelled(lambda kept: kept.id >= split + _GAP)]
    before = context.state.device_version
    if train and held_out:
        await run.adapt(run.prepare(Selection(tuple(train), tuple(held_out)), Trigger.CALIBRATION))
    if context.state.device_version != before:
        await _again_when_lost(link, lambda wearable: _take_reference(context, wearable, held_out))
        # Nothing of calibration is held out from later fits: its windows have been judged and are replayed.
        context.ring.mark_trained(train + held_out)
    else:
        # Too short a session to prove anything: what it has shown is kept, and the stream goes on with it.
        context.episode.begin(0, Trigger.CALIBRATION)
        _log.info("calibration goes on beside the stream", windows=len(train) + len(held_out))
    context.state.calibrated = True
    context.state.last_attempt_window = None
    context.state.failures = 0
    await context.reporter.keep()


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


async def _take_reference(context: Context, wearable: Wearable, held_out: list[int]) -> None:
    """The error rate on windows that were not trained on; they also open the count of the time before drift."""
    known = context.ring.labels(held_out)
    predicted = await wearable.evaluate(held_out, Bank.SERVING)
    errors = sum(p != label for p, label in zip(predicted, known, strict=True))
    # One error more than was seen (Laplace's rule): no error among forty windows does not promise none for ever.
    context.state.reference_error = (errors + 1) / (len(held_out) + 2)
    context.monitor.reset(context.state.reference_error)
    for p, label in zip(predicted, known, strict=True):
        context.state.before_drift.add(p == label)
    _log.info("calibrated", held_out=len(held_out), errors=errors, reference_error=context.state.reference_error)


async def _again_when_lost(link: WearableLink, work: Callable[[Wearable], Awaitable[None]]) -> None:
    while True:
        wearable = await link.up()
        try:
            return await work(wearable)
        except WearableLost:
            link.lost(wearable)
