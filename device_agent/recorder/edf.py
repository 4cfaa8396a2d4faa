"""EDF+ and BDF+ files, written record by record. Pure but for the file that is handed in.

Layout and words: EDF+ (Kemp and Olivan, 2003, https://www.edfplus.info/specs/edfplus.html); BDF+ is the same with
24-bit samples (https://www.teuniz.net/edfbrowser/bdfplus%20format%20description.html). Annotations are time-stamped
lists (TALs) in a signal of their own; the first of each data record gives the record's time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MOST_SIGNALS = 9_998
_LONGEST_RECORD_S = 60
_EXACT_ENOUGH = 1e-4
"""Relative: what a range may be off by in the header."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One channel. A digital value d means physical_min + (d - digital_min) * resolution."""

    label: str
    unit: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int


@dataclass(frozen=True, slots=True)
class Annotation:
    """A word at a time of the recording, in seconds from its start."""

    onset_s: float
    duration_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How many bytes a sample has, and what the format calls itself."""

    width: int
    version: bytes
    name: str

    @property
    def most(self) -> int:
        return int(2 ** (8 * self.width - 1) - 1)


EDF = Sample(2, b"0".ljust(8), "EDF")
BDF = Sample(3, b"\xffBIOSEMI", "BDF")


def record_length(rate_hz: float) -> tuple[int, int]:
    """Seconds of a data record and samples in it, so that both are whole. Raises ValueError for odd rates."""
    rate = Fraction(rate_hz).limit_denominator(_LONGEST_RECORD_S)
    if abs(float(rate) - rate_hz) > 1e-9 * rate_hz:
        raise ValueError(f"{rate_hz!r} Hz gives no whole number of samples in up to {_LONGEST_RECORD_S} s")
    return rate.denominator, rate.numerator


def number(value: float) -> str:
    """At most eight characters, as near to `value` as they allow. Raises ValueError where they say too little."""
    for digits in range(7, -1, -1):
        text = f"{value:.{digits}f}"
        if digits:
            text = text.rstrip("0").rstrip(".")
        if len(text) <= 8 and abs(float(text) - value) <= _EXACT_ENOUGH * abs(value):
            return text
    raise ValueError(f"{value:g} has no place in a header's eight characters")


def write_edf(
    file: BinaryIO,
    sample: Sample,
    signals: Sequence[Signal],
    rate_hz: float,
    samples: int,
    read: Callable[[int, int], npt.NDArray[np.int32]],
    annotations: Iterable[Annotation],
    began: datetime,
    patient: str = "",
) -> None:
    """`read(first, last)` gives digital values [signals, last - first]; the last record is filled with zeros."""
    if not 1 <= len(signals) <= _MOST_SIGNALS:
        raise ValueError(f"{len(signals)} signals: expected 1 to {_MOST_SIGNALS}")
    seconds, per_record = record_length(rate_hz)
    records = max(-(-samples // per_record), 1)
    notes = _by_record(annotations, seconds, records)
    # a TAL's place is counted in samples of this format
    room = -(-max(len(note) for note in notes) // sample.width)
    file.write(_header(sample, signals, seconds, per_record, records, room, began, patient))
    for index, note in enumerate(notes):
        first, last = index * per_record, min((index + 1) * per_record, samples)
        values = np.zeros((len(signals), per_record), np.int32)
        values[:, : last - first] = read(first, last)
        file.write(_little_endian(values, sample.width))
        file.write(note.ljust(room * sample.width, b"\0"))


def _little_endian(values: npt.NDArray[np.int32], width: int) -> bytes:
    little: bytes = np.ascontiguousarray(values.astype("<i4")).view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return little


def _by_record(annotations: Iterable[Annotation], seconds: int, records: int) -> list[bytes]:
    notes = [f"+{index * seconds}\x14\x14\0".encode() for index in range(records)]
    for annotation in sorted(annotations, key=lambda one: one.onset_s):
        index = min(max(int(annotation.onset_s // seconds), 0), records - 1)
        lasting = f"\x15{annotation.duration_s:.6f}" if annotation.duration_s > 0 else ""
        text = re.sub(r"[\x00-\x1f]", " ", annotation.text)
        notes[index] += f"{annotation.onset_s:+.6f}{lasting}\x14{text}\x14\0".encode()
    return notes


def _header(
    sample: Sample,
    signals: Sequence[Signal],
    seconds: int,
    per_record: int,
    records: int,
    room: int,
    began: datetime,
    patient: str,
) -> bytes:
    began = began.astimezone(UTC)
    day = f"{began.day:02d}-{_MONTHS[began.month - 1]}-{began.year}"
    code = re.sub(r"[^!-~]", "_", patient) or "X"
    count = len(signals) + 1
    head = sample.version
    head += _text(f"{code} X X X", 80) + _text(f"Startdate {day} X X biotrain", 80)
    head += _text(began.strftime("%d.%m.%y"), 8) + _text(began.strftime("%H.%M.%S"), 8)
    head += _text(str(256 * (count + 1)), 8) + _text(f"{sample.name}+C", 44)
    head += _text(str(records), 8) + _text(str(seconds), 8) + _text(str(count), 4)
    # annotations have the format's whole range, and any physical one
    notes = Signal(f"{sample.name} Annotations", "", -1, 1, -sample.most - 1, sample.most)
    every = [*signals, notes]
    columns: list[tuple[int, list[str]]] = [
        (16, [signal.label for signal in every]),
        (80, [""] * count),
        (8, [signal.unit for signal in every]),
        (8, [number(signal.physical_min) for signal in every]),
        (8, [number(signal.physical_max) for signal in every]),
        (8, [str(signal.digital_min) for signal in every]),
        (8, [str(signal.digital_max) for signal in every]),
        (80, [""] * count),
        (8, [str(per_record)] * len(signals) + [str(room)]),
        (32, [""] * count),
    ]
    return head + b"".join(_text(text, width) for width, texts in columns for text in texts)


def _text(text: str, width: int) -> bytes:
    """Header fields are ASCII; other characters become a question mark."""
    return text.encode("ascii", "replace")[:width].ljust(width)
