"""The whole agent over all sessions of a person in recorded order, test-then-train, with no knowledge of days."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from biotrain.evaluate.inside import KeepingBroker, Seen, SteppedSource, WatchedWearable
from biotrain.evaluate.oracle import OracleMonitor
from device_agent.adaptation.policy import PolicySettings
from device_agent.agent import Agent
from device_agent.context import Context
from device_agent.drift.quality import SignalQuality
from device_agent.drift.registry import error_detector
from device_agent.engine.engine import Engine
from device_agent.outbox import Identity, Outbox
from device_agent.plan_files import PlanFiles
from device_agent.reporter import Reporter
from device_agent.settings import AgentSettings
from device_agent.sources.recording import Recording
from device_agent.sources.registry import Material
from device_agent.sources.source import Layout, Start, WindowSource
from device_agent.sources.timeline import Timeline
from device_agent.state import AgentState
from device_agent.wearable.api import Wearable
from device_agent.wearable.connect import connect
from messaging import Broker
from schemas.plan import read_plan
from schemas.topics import Kind

Trigger = Literal["agent", "oracle", "never"]
_BEGAN_S = 1_699_920_000.0
"""The stream's own clock begins with a day (UTC): results do not depend on when they are computed, and all sessions,
laid end to end, share one day's energy."""


@dataclass(frozen=True)
class Streamed:
    """What happened to one person's stream."""

    starts: list[int]
    """Window numbers with which sessions begin, the first one streamed included."""
    sessions: list[int]
    labels: list[int]
    predicted: list[int]
    entropy: list[float]
    margin: list[float]
    features: list[list[float]]
    reference_error: float | None
    alerts: list[dict[str, Any]]
    adaptations: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    score: list[list[float]]
    """Window, drift statistic, threshold."""
    fits: list[tuple[int, tuple[int, ...]]]
    """Newest window at its beginning, and the windows that were learned from; calibration before the stream first."""
    weights_before: bytes
    """Weights files: when the stream begins, and when it has ended."""
    weights_after: bytes
    fit_steps: int
    """Optimiser steps after calibration."""
    energy_mj: float
    """Of those steps, by the plan's own model of the device."""


def run_stream(
    plan: bytes,
    weights: bytes,
    sessions: list[Recording],
    trigger: Trigger,
    settings: AgentSettings | None = None,
    policy: PolicySettings = PolicySettings(),
    quality: SignalQuality | None = None,
) -> Streamed:
    """Calibrate on the first session, stream the others. The agent is the real one, in this process, beside a real
    virtual wearable; the stream waits while the device trains."""
    with tempfile.TemporaryDirectory(prefix="biotrain-stream-") as folder:
        return asyncio.run(
            _run(plan, weights, sessions, trigger, settings or AgentSettings(), policy, quality, Path(folder))
        )


async def _run(
    plan: bytes,
    weights: bytes,
    sessions: list[Recording],
    trigger: Trigger,
    settings: AgentSettings,
    policy: PolicySettings,
    quality: SignalQuality | None,
    folder: Path,
) -> Streamed:
    (folder / "p.plan").write_bytes(plan)
    (folder / "p.weights").write_bytes(weights)
    settings = settings.model_copy(
        update={
            "state_dir": folder,
            "plan": folder / "p.plan",
            "weights": folder / "p.weights",
            "adapt": "never" if trigger == "never" else settings.adapt,
            "telemetry_period_s": 1e6,  # told by the window instead, below
        }
    )
    calibration, *streamed = sessions
    timeline = Timeline(streamed, len(calibration))
    starts = [len(calibration)]
    for session in streamed[:-1]:
        starts.append(starts[-1] + len(session))
    broker, seen = KeepingBroker(), Seen(first=len(calibration))
    context = Context(settings, AgentState(stream="evaluation"), policy)
    context.quality = quality
    if trigger == "oracle":
        context.monitor = OracleMonitor(lambda reference: error_detector(settings.detector, reference))
        context.monitor.starts = starts
    context.reporter = Reporter(
        Outbox.open(folder, Identity(settings.site, settings.device, None)), context.state, context.refresh
    )
    wearables: list[Wearable] = []

    async def watched() -> Wearable:
        wearables.append(await connect("local"))
        return cast(Wearable, WatchedWearable(wearables[-1], seen))

    score: list[list[float]] = []

    def note_score() -> None:
        error = next(evidence for evidence in context.monitor.evidence() if evidence.watches == "error")
        score.append([context.newest_window, error.statistic, error.threshold])

    def open_source(start: Start) -> WindowSource:
        return SteppedSource(timeline, lambda: agent.adapting, _BEGAN_S, note_score)

    of = timeline.first
    layout = Layout(of.subject, of.channels, of.samples, of.sampling_rate_hz, of.classes)
    material = Material(calibration, layout, open_source)
    agent = Agent(context, material, cast(Broker, broker), PlanFiles(folder), connect=watched, connect_frozen=watched)
    try:
        await agent.run()
    finally:
        context.reporter.close()
        for wearable in wearables:
            await wearable.close()
    adaptations = broker.of(Kind.ADAPTATION)
    fit_steps = _steps(adaptations, starts[0])
    mj_per_window = float(read_plan(plan).names["gap9"]["energy_mj_per_sample"])
    return Streamed(
        starts=starts,
        sessions=[session.session for session in streamed],
        labels=seen.labels,
        predicted=seen.predicted,
        entropy=seen.entropy,
        margin=seen.margin,
        features=seen.features,
        reference_error=context.state.reference_error,
        alerts=broker.of(Kind.DRIFT),
        adaptations=[a for a in adaptations if a["phase"] != "progress"],
        faults=broker.of(Kind.FAULT),
        score=score,
        fits=seen.fits,
        weights_before=seen.weights_before,
        weights_after=seen.weights_after,
        fit_steps=fit_steps,
        energy_mj=fit_steps * settings.fit.batch_size * mj_per_window,
    )


def _steps(adaptations: list[dict[str, Any]], first_window: int) -> int:
    """Optimiser steps of all fits beside the stream, those that were rolled back included."""
    done: dict[str, int] = {}
    for message in adaptations:
        if message["window"] >= first_window:
            name = message["adaptation_id"]
            done[name] = max(done.get(name, 0), message["step"])
    return sum(done.values())


def to_json(streamed: Streamed) -> dict[str, Any]:
    """What a result file keeps of a stream: all but weights and loss curves."""
    fields = asdict(streamed)
    for name in ("fits", "weights_before", "weights_after"):  # long, and no table is made of them
        del fields[name]
    return fields


def right_of(plan: bytes, weights: bytes, windows: Recording) -> int:
    """How many of these windows a weights file gets right, on the device's engine."""
    with Engine(plan, weights) as engine:
        return sum(
            engine.infer(counts, windows.scale)[0] == int(label)
            for counts, label in zip(windows.counts, windows.labels, strict=True)
        )
