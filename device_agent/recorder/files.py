"""From a spool to a file that others read: EDF+, BDF+, or a session of labelled windows (NPZ)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device_agent.recorder.edf import BDF, EDF, Sample, Signal, number, record_length, write_edf
from device_agent.recorder.lay_out import Layout, lay_out
from device_agent.recorder.session_file import save_session
from device_agent.recorder.spool import KeptLabel, KeptWindow, StreamFacts, read_facts, read_spool
from device_agent.recorder.whole_file import whole_file
from device_agent.sources.recording import Recording
from schemas.errors import UserError

_SESSION = re.compile(r"(?P<subject>.+)_session(?P<session>\d+)")
#: Ending of the file's name -> what writes it, given spool and file.
FORMATS: dict[str, Callable[[Path, Path], None]] = {
    ".edf": lambda spool, path: _edf(spool, path, EDF),
    ".bdf": lambda spool, path: _edf(spool, path, BDF),
    ".npz": lambda spool, path: _npz(spool, path),
}


def check_target(path: Path) -> None:
    """Raises UserError for a name that says no format, or not whose session it is."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: write a name that ends in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".npz" and not _SESSION.fullmatch(path.stem):
        raise UserError(f"{path}: a session is named SUBJECT_sessionN.npz, e.g. anna_session1.npz")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: the folder {path.absolute().parent} does not exist: make it first")


def write_recording(spool: Path, path: Path) -> None:
    """Raises UserError: a spool that cannot be read or holds no window, a file that cannot be written."""
    check_target(path)
    FORMATS[path.suffix.lower()](spool, path)


def _edf(spool: Path, path: Path, sample: Sample) -> None:
    facts = read_facts(spool)
    layout = lay_out(facts, read_spool(spool))
    if not layout.starts:
        raise UserError(f"{spool}: holds no window yet: there is nothing to write")
    try:
        record_length(facts.sampling_rate_hz)
    except ValueError as error:
        raise UserError(f"{path}: {error}: write a session instead (.npz)") from None
    scale = _scale(layout, sample)
    signals = [
        Signal(name, facts.unit, -s * (sample.most + 1), s * sample.most, -sample.most - 1, sample.most)
        for name, s in zip(facts.channels, _as_written(scale, sample), strict=True)
    ]
    with tempfile.TemporaryFile(dir=path.parent) as room:
        shape = (len(facts.channels), layout.samples)
        digital: npt.NDArray[np.int32] = np.memmap(room, np.int32, "w+", shape=shape)
        for one in read_spool(spool):
            if isinstance(one, KeptWindow):
                start = layout.starts[one.id]
                values = one.counts * (one.scale.astype(np.float64) / scale)[:, None]
                digital[:, start : start + facts.samples] = np.rint(values)
        with whole_file(path) as file:
            write_edf(
                file, sample, signals, facts.sampling_rate_hz, layout.samples,
                lambda first, last: digital[:, first:last], layout.annotations,
                datetime.fromtimestamp(layout.began_s, UTC), facts.wearer,
            )  # fmt: skip


def _scale(layout: Layout, sample: Sample) -> npt.NDArray[np.float64]:
    """[channels]; the windows' own, so that counts stay exact, or as fine as the largest value allows."""
    if layout.scale is not None:
        scale: npt.NDArray[np.float64] = layout.scale.astype(np.float64) / 256 ** (sample.width - EDF.width)
        return scale
    return np.where(layout.peak > 0, layout.peak / sample.most, 1.0)


def _as_written(scale: npt.NDArray[np.float64], sample: Sample) -> list[float]:
    """Raises UserError where a header has no room for the range."""
    try:
        for s in scale:
            number(-s * (sample.most + 1))
    except ValueError as error:
        raise UserError(f"EDF+ cannot hold this signal: {error}: record a session instead (.npz)") from None
    return [float(s) for s in scale]


def _npz(spool: Path, path: Path) -> None:
    """Only windows whose label is known."""
    facts = read_facts(spool)
    labels: dict[int, int] = {}
    windows: list[KeptWindow] = []
    for one in read_spool(spool):
        if isinstance(one, KeptLabel):
            labels[one.window] = one.label
        elif isinstance(one, KeptWindow):
            windows.append(one)
            if one.label is not None:
                labels[one.id] = one.label
    windows = [window for window in windows if window.id in labels]
    if not windows:
        raise UserError(f"{spool}: holds no window with a label: there is no session to write")
    named = _SESSION.fullmatch(path.stem)
    assert named is not None  # check_target
    save_session(
        path, session_of(facts, windows, [labels[w.id] for w in windows], named["subject"], int(named["session"]))
    )


def session_of(
    facts: StreamFacts, windows: list[KeptWindow], labels: list[int], subject: str, session: int
) -> Recording:
    """One scale for all windows: theirs where they agree, else the coarsest."""
    scale = np.max([window.scale for window in windows], axis=0).astype(np.float32)
    counts = [np.rint(w.counts * (w.scale / scale)[:, None]).astype(np.int16) for w in windows]
    began_s = windows[0].ended_s
    return Recording(
        counts=np.stack(counts),
        scale=scale,
        labels=np.array(labels, np.int64),
        onsets_s=np.array([(w.ended_s - began_s) * facts.speed for w in windows]),
        classes=facts.classes,
        channels=facts.channels,
        sampling_rate_hz=facts.sampling_rate_hz,
        subject=subject,
        session=session,
        unit=facts.unit,
    )
