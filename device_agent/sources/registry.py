"""Where sessions come from: one line for each kind of source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.simulator import SimulatedPerson
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


@dataclass(frozen=True, slots=True)
class Material:
    """What a source gives: trials to calibrate with (None: no calibration), and sessions to stream."""

    calibration: Recording | None
    stream: tuple[Recording, ...]


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
        return Material(None, tuple(dataset.load_sessions(options.subject, chosen)))
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
        return Material(None, tuple(person.session(number, options.trials) for number in sessions))
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
    return Material(calibration, tuple(stream))


#: To add a source: one file, and one line here.
SOURCES: dict[str, Callable[[SourceOptions], Material]] = {
    "recordings": _recordings,
    "simulator": _simulator,
}
