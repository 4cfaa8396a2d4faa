"""A session on disk: one `.npz` file per person and session, checked field by field when it is read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import UserError

_FILE_NAME = re.compile(r"^(?P<subject>.+)_session(?P<session>\d+)\.npz$")
_MAX_SAMPLING_RATE_HZ = 100_000.0


class RecordingError(UserError):
    """Says which file and field, what was found, and what was expected."""

    def __init__(self, path: Path | str, field: str, found: str, expected: str) -> None:
        super().__init__(f"{path}: field {field!r}: {found}; expected {expected}")
        self.path, self.field = path, field


@dataclass(frozen=True)
class Recording:
    """One session of one person: labelled trials of equal length, in recorded order."""

    counts: npt.NDArray[np.int16]
    """[trials, channels, samples], as the ADC gave them."""
    scale: npt.NDArray[np.float32]
    """[channels]; value = counts * scale[channel]."""
    labels: npt.NDArray[np.int64]
    """[trials]; indexes `classes`."""
    onsets_s: npt.NDArray[np.float64]
    """[trials]; seconds; falls back where the recording was paused and its clock started anew."""
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    sampling_rate_hz: float
    subject: str
    session: int
    unit: str = ""
    fields: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    """Whole numbers that the recording knows of each trial: posture, repetition, run."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> int:
        """Per channel of one trial."""
        return int(self.counts.shape[2])

    @property
    def duration_s(self) -> float:
        """Of one trial."""
        return self.samples / self.sampling_rate_hz

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """float32 [trials, channels, samples], in `unit`."""
        return self.counts.astype(np.float32) * self.scale[None, :, None]

    def part(self, first: int, last: int | None = None) -> Recording:
        """Trials `first` to `last`, the last one excluded."""
        return self.chosen(slice(first, last))

    def chosen(self, trials: slice | npt.NDArray[Any]) -> Recording:
        """Some trials: a slice, indices, or one truth value for each."""
        return replace(
            self,
            counts=self.counts[trials],
            labels=self.labels[trials],
            onsets_s=self.onsets_s[trials],
            fields={name: values[trials] for name, values in self.fields.items()},
        )


def load_recording(path: Path) -> Recording:
    """Read and check one file. Raises RecordingError."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            fields: dict[str, npt.NDArray[Any]] = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such recording: check --data, --subject and --sessions") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"{path}: not a readable .npz file ({error}): copy or export it again") from None
    return _check(path, fields)


def _check(path: Path, fields: dict[str, npt.NDArray[Any]]) -> Recording:
    def need(name: str, what: str) -> npt.NDArray[Any]:
        if name not in fields:
            raise RecordingError(path, name, f"is missing (the file has {', '.join(sorted(fields)) or 'none'})", what)
        return fields[name]

    def fail(name: str, found: str, expected: str) -> RecordingError:
        return RecordingError(path, name, found, expected)

    x = need("x", "int16 [trials, channels, samples]")
    if x.ndim != 3 or 0 in x.shape:
        raise fail("x", f"has shape {list(x.shape)}", "[trials, channels, samples], none of them 0")
    if x.dtype != np.int16:
        raise fail("x", f"has dtype {x.dtype}", "int16 counts, with value = x * scale[channel]")
    trials, channels, samples = x.shape

    scale = need("scale", f"float32 [{channels}], one per channel")
    if scale.shape != (channels,):
        raise fail("scale", f"has shape {list(scale.shape)}", f"[{channels}], one per channel of x")
    if scale.dtype.kind != "f":
        raise fail("scale", f"has dtype {scale.dtype}", "float32")
    if not np.isfinite(scale).all():
        where = int(np.flatnonzero(~np.isfinite(scale))[0])
        raise fail("scale", f"is {scale[where]} for channel {where}", "finite numbers")
    if not (scale > 0).all():
        where = int(np.flatnonzero(scale <= 0)[0])
        raise fail("scale", f"is {scale[where]} for channel {where}", "numbers above 0")

    classes = need("classes", "the class names, in the order of y's values")
    if classes.ndim != 1 or len(classes) < 2 or classes.dtype.kind != "U":
        raise fail("classes", f"has shape {list(classes.shape)} and dtype {classes.dtype}", "at least two names")
    y = need("y", f"int8 [{trials}], indexes of classes")
    if y.shape != (trials,):
        raise fail("y", f"has shape {list(y.shape)}", f"[{trials}], one per trial of x")
    if y.dtype.kind not in "iu":
        raise fail("y", f"has dtype {y.dtype}", "int8")
    unknown = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(unknown):
        listed = ", ".join(str(name) for name in classes)
        raise fail("y", f"is {y[unknown[0]]} in trial {unknown[0]}", f"0 to {len(classes) - 1} ({listed})")

    rate = _scalar(path, need("fs", "the sampling rate in Hz"), "fs")
    if not np.isfinite(rate) or not 0 < rate <= _MAX_SAMPLING_RATE_HZ:
        raise fail("fs", f"is {rate}", f"a sampling rate in Hz, above 0 and at most {_MAX_SAMPLING_RATE_HZ:g}")
    ch_names = need("ch_names", f"[{channels}] channel names")
    if ch_names.shape != (channels,) or ch_names.dtype.kind != "U":
        raise fail("ch_names", f"has shape {list(ch_names.shape)} and dtype {ch_names.dtype}", f"[{channels}] names")

    onsets = fields.get("onset_s")
    if onsets is None:
        onsets = np.arange(trials) * (samples / rate)
    elif onsets.shape != (trials,) or onsets.dtype.kind not in "fiu" or not np.isfinite(onsets).all():
        raise fail("onset_s", f"has shape {list(onsets.shape)}, dtype {onsets.dtype}", f"[{trials}] finite seconds")

    subject = str(need("subject", "the person's identifier"))
    session = int(_scalar(path, need("session", "the session's number"), "session"))
    named = _FILE_NAME.match(path.name)
    if named and (named["subject"], int(named["session"])) != (subject, session):
        raise fail("subject", f"with session is {subject}, {session}", f"what the file's name says: {path.name}")
    return Recording(
        counts=np.ascontiguousarray(x),
        scale=scale.astype(np.float32),
        labels=y.astype(np.int64),
        onsets_s=onsets.astype(np.float64),
        classes=tuple(str(name) for name in classes),
        channels=tuple(str(name) for name in ch_names),
        sampling_rate_hz=rate,
        subject=subject,
        session=session,
        unit=str(fields.get("unit", "")),
        fields={
            name: values.astype(np.int64)
            for name, values in fields.items()
            if name != "y" and values.shape == (trials,) and values.dtype.kind in "iu"
        },
    )


def _scalar(path: Path, value: npt.NDArray[Any], name: str) -> float:
    if value.shape != () or value.dtype.kind not in "fiu":
        raise RecordingError(path, name, f"has shape {list(value.shape)} and dtype {value.dtype}", "one number")
    return float(value)


def check_same_layout(first: Recording, other: Recording, path: Path | str) -> None:
    """Channels, samples, rate and classes of two recordings must agree. Raises RecordingError."""
    for name, expected, found in _layout(first, other):
        if expected != found:
            like = f"{first.subject} session {first.session}"
            raise RecordingError(path, name, f"is {found}", f"{expected}, as in {like}")


def _layout(first: Recording, other: Recording) -> Iterator[tuple[str, object, object]]:
    yield "fs", first.sampling_rate_hz, other.sampling_rate_hz
    yield "ch_names", list(first.channels), list(other.channels)
    yield "x", f"{first.samples} samples per trial", f"{other.samples} samples per trial"
    yield "classes", list(first.classes), list(other.classes)


def parse_sessions(text: str) -> list[int]:
    """`2-8`, `1,3,5-6` -> session numbers, in that order. Raises UserError."""
    numbers: list[int] = []
    for piece in text.split(","):
        bounds = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if not bounds:
            raise UserError(f"sessions {text!r}: {piece.strip()!r} is no number and no range: write e.g. 2-8 or 1,3,5")
        first = int(bounds[1])
        last = int(bounds[2] or first)
        if last < first or last - first > 10_000:
            raise UserError(f"sessions {text!r}: the range {piece.strip()!r} runs backwards or is too long")
        numbers.extend(range(first, last + 1))
    repeated = {number for number in numbers if numbers.count(number) > 1}
    if repeated:
        raise UserError(f"sessions {text!r}: session {min(repeated)} is named twice")
    return numbers
