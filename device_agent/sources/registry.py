"""Where windows come from: one line for each kind of source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from device_agent.sources.dataset import open_dataset
from device_agent.sources.labels import LabelTiming
from device_agent.sources.live import LiveOptions, LiveSource, SampleStream, WithMarkers
from device_agent.sources.recording import Recording
from device_agent.sources.self_recorded import SelfRecordedSource
from device_agent.sources.simulator import SimulatedPerson
from device_agent.sources.source import Layout, Start, WindowSource
from device_agent.sources.timeline import Timeline
from device_agent.sources.wall_clock import WallClockSource
from schemas.errors import UserError


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a person chooses; each kind of source reads what concerns it."""

    data: Path | None = None
    subject: str | None = None
    sessions: tuple[int, ...] | None = None
    """To stream, in this order; None: all that there are (recordings), or 1 to 3 (simulator)."""
    calibrate_session: int | None = None
    calibrate_windows: int | None = None
    """Only the first so many windows of the calibration session; its others are streamed like any."""
    seed: int = 1
    trials: int = 220
    """Per simulated session."""
    labels: LabelTiming = field(default_factory=LabelTiming)
    """Of recordings and of the simulator."""
    stream: str | None = None
    """Live sources: name of a stream, or a board and where it is."""
    markers: str | None = None
    """LSL: name of the stream of markers."""
    live: LiveOptions = field(default_factory=LiveOptions)


@dataclass(frozen=True, slots=True)
class Material:
    """What a source gives: a stream to open, and trials to calibrate with before it."""

    calibration: Recording | None
    """None: no calibration."""
    layout: Layout | None
    """None: whatever the wearable's plan was made for."""
    open: Callable[[Start], WindowSource]
    fed: bool = True
    """The agent feeds the wearable; otherwise the signal never leaves the wearable."""


def open_source(kind: str, options: SourceOptions) -> Material:
    """Raises UserError: unknown kind, or whatever is wrong with the options or the data."""
    if kind not in SOURCES:
        raise UserError(f"source {kind!r} is not known: choose one of {', '.join(SOURCES)}")
    return SOURCES[kind](options)


def _recordings(options: SourceOptions) -> Material:
    if options.data is None or options.subject is None:
        raise UserError("source recordings needs --data DIR and --subject ID")
    dataset = open_dataset(options.data)
    chosen = None if options.sessions is None else list(options.sessions)
    if options.calibrate_session is None:
        if options.calibrate_windows is not None:
            raise UserError("--calibrate-windows with recordings needs --calibrate-session N: which session's windows?")
        return _sessions(None, dataset.load_sessions(options.subject, chosen), options)
    if chosen is None:
        chosen = list(dataset.sessions(options.subject))
        chosen.remove(options.calibrate_session) if options.calibrate_session in chosen else None
    calibration, *stream = dataset.load_sessions(options.subject, [options.calibrate_session, *chosen])
    return _split(calibration, stream, options)


def _simulator(options: SourceOptions) -> Material:
    person = SimulatedPerson(options.seed)
    sessions = options.sessions or (1, 2, 3)
    first = options.calibrate_session
    if first is None and options.calibrate_windows is None:
        return _sessions(None, [person.session(number, options.trials) for number in sessions], options)
    first = sessions[0] if first is None else first
    stream = [person.session(number, options.trials) for number in sessions if number != first]
    return _split(person.session(first, options.trials), stream, options)


def _split(calibration: Recording, stream: list[Recording], options: SourceOptions) -> Material:
    """The calibration session is never streamed again; what calibration leaves of it is streamed first."""
    stream = [session for session in stream if session.session != calibration.session]
    if options.calibrate_windows is not None:
        if not 0 < options.calibrate_windows <= len(calibration):
            raise UserError(
                f"--calibrate-windows is {options.calibrate_windows}: session {calibration.session} "
                f"has 1 to {len(calibration)} windows to choose from"
            )
        rest = calibration.part(options.calibrate_windows)
        calibration = calibration.part(0, options.calibrate_windows)
        stream = [rest, *stream] if len(rest) else stream
    if not stream:
        raise UserError("nothing is left to stream: name at least one session beside the calibration session")
    return _sessions(calibration, stream, options)


def _sessions(calibration: Recording | None, stream: list[Recording], options: SourceOptions) -> Material:
    """Sessions that are at hand, on one clock: numbers go on behind those of the calibration."""
    first_id = 0 if calibration is None else len(calibration)
    timeline = Timeline(stream, first_id)

    def open_(start: Start) -> WindowSource:
        return WallClockSource(
            timeline,
            speed=start.speed,
            anchor_s=start.anchor_s,
            after=start.after,
            capacity=start.capacity,
            labels=options.labels,
        )

    of = timeline.first
    layout = Layout(of.subject, of.channels, of.samples, of.sampling_rate_hz, of.classes, of.unit)
    return Material(calibration, layout, open_)


def _self_recorded(options: SourceOptions) -> Material:
    if options.calibrate_session is not None or options.calibrate_windows is not None:
        raise UserError(
            "source wearable streams what the wearable records, and calibrates on nothing: leave --calibrate-session "
            "and --calibrate-windows out, or calibrate with --source recordings first"
        )
    return Material(None, None, SelfRecordedSource, fed=False)


def _lsl(name: str) -> SampleStream:
    from device_agent.sources.lsl import LslStream

    return LslStream(name)


def _biogap(layout: str) -> Callable[[str], SampleStream]:
    def open_(address: str) -> SampleStream:
        from device_agent.sources.biogap import BioGapStream

        return BioGapStream(layout, address)

    return open_


def _brainflow(name: str) -> SampleStream:
    from device_agent.sources.brainflow_board import BrainFlowStream

    return BrainFlowStream(name)


_BIOGAP_AT = "where the board is, tcp://HOST:PORT, serial:///dev/ttyACM0 or ble://NAME"
#: To add a live source: one file, one line here. What --stream is to say, and what opens it.
SAMPLES: dict[str, tuple[str, Callable[[str], SampleStream]]] = {
    "lsl": ("the name of an LSL stream", _lsl),
    "brainflow": ("a board that BrainFlow knows: synthetic, cyton:/dev/ttyUSB0, ...", _brainflow),
    "biogap": (_BIOGAP_AT, _biogap("biogap")),
    "biogap-ultra": (_BIOGAP_AT, _biogap("biogap-ultra")),
    "biogap-v1": (_BIOGAP_AT, _biogap("biogap-v1")),
}


def open_samples(kind: str, stream: str | None) -> SampleStream:
    """Raises UserError: unknown kind, or no stream."""
    if kind not in SAMPLES:
        raise UserError(f"source {kind!r} gives no live signal: choose one of {', '.join(SAMPLES)}")
    what, open_ = SAMPLES[kind]
    if stream is None:
        raise UserError(f"source {kind} needs --stream: {what}")
    return open_(stream)


def _live(kind: str, options: SourceOptions) -> Material:
    open_samples(kind, options.stream)  # what is wrong is said now
    if options.calibrate_session is not None or options.calibrate_windows is not None:
        raise UserError("a live source is not calibrated on: calibrate with --source recordings first")

    def open_(start: Start) -> WindowSource:
        samples = open_samples(kind, options.stream)
        if options.markers is not None:
            from device_agent.sources.lsl import LslMarkers

            samples = WithMarkers(samples, LslMarkers(options.markers))
        return LiveSource(samples, options.live, start)

    return Material(None, None, open_)


#: To add a source: one file, and one line here.
SOURCES: dict[str, Callable[[SourceOptions], Material]] = {
    "recordings": _recordings,
    "simulator": _simulator,
    "wearable": _self_recorded,
    **{kind: partial(_live, kind) for kind in SAMPLES},
}
