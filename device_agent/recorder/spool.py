"""Windows as they were streamed, one record after the other: appended to while the agent runs, cut by a crash at most.

A record is its length and CRC-32 (u32 each, little-endian), then one line of JSON; a window's is followed by its scale
(float32 [channels]) and its counts (int16 [channels, samples]). The first record describes the stream.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from schemas.errors import UserError

_FORMAT = "biotrain.windows/1"
_HEAD = struct.Struct("<II")
_MOST_BYTES = 64_000_000
"""A longer record is no record: the file is damaged."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What holds for all windows of a spool."""

    channels: tuple[str, ...]
    samples: int
    sampling_rate_hz: float
    classes: tuple[str, ...]
    speed: float = 1.0
    """Signal time runs so many times faster than the windows' clock."""
    wearer: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """A window as it was served, with what was predicted of it."""

    id: int
    ended_s: float
    """Seconds since the epoch (the source's clock)."""
    label: int | None
    predicted: int
    confidence: float
    weights_version: int
    faulty: bool
    sample: int | None
    """Index of its first sample in a live stream, where the source counts them."""
    scale: npt.NDArray[np.float32]
    """[channels]"""
    counts: npt.NDArray[np.int16]
    """[channels, samples]"""


@dataclass(frozen=True, slots=True)
class KeptLabel:
    """The label of an earlier window."""

    window: int
    label: int


@dataclass(frozen=True, slots=True)
class KeptNote:
    """Something that happened at the end of a window."""

    window: int
    text: str


Kept = KeptWindow | KeptLabel | KeptNote


class Spool:
    """Open for appending; a second run on the same stream carries on behind the first one's last whole record."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path, facts: StreamFacts) -> Self:
        """Raises UserError where it cannot be written, or holds another stream."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror}): choose another place") from None
        file = os.fdopen(handle, "r+b")
        try:
            if file.seek(0, os.SEEK_END):
                file.seek(0)
                found = _facts(file, path)
                if found != facts:
                    raise UserError(f"{path}: holds another stream ({_difference(facts, found)}): move it away first")
                first_end = file.tell()
                whole = max((end for _, end in _records(file)), default=first_end)
                file.truncate(whole)
                file.seek(whole)
            spool = cls(file)
            if file.tell() == 0:
                spool._put({"format": _FORMAT, **asdict(facts)})
        except BaseException:
            file.close()
            raise
        return spool

    def window(self, window: KeptWindow) -> None:
        fields = {name: getattr(window, name) for name in KeptWindow.__slots__ if name not in ("scale", "counts")}
        self._put({"kind": "window", **fields}, window.scale.astype("<f4").tobytes() + window.counts.tobytes())

    def label(self, label: KeptLabel) -> None:
        self._put({"kind": "label", **asdict(label)})

    def note(self, note: KeptNote) -> None:
        self._put({"kind": "note", **asdict(note)})

    def close(self) -> None:
        self._file.close()

    def _put(self, fields: dict[str, Any], values: bytes = b"") -> None:
        body = json.dumps(fields).encode() + b"\n" + values
        self._file.write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        self._file.flush()


def read_facts(path: Path) -> StreamFacts:
    """Raises UserError for a file that is no spool."""
    with _opened(path) as file:
        return _facts(file, path)


def read_spool(path: Path) -> Iterator[Kept]:
    """All whole records, oldest first; what a crash has cut off at the end is left out."""
    with _opened(path) as file:
        facts = _facts(file, path)
        shape = (len(facts.channels), facts.samples)
        for body, _ in _records(file):
            line, _, values = body.partition(b"\n")
            fields = json.loads(line)
            match fields.pop("kind"):
                case "window":
                    split = 4 * shape[0]
                    scale = np.frombuffer(values[:split], "<f4").astype(np.float32)
                    counts = np.frombuffer(values[split:], "<i2").astype(np.int16).reshape(shape)
                    yield KeptWindow(**fields, scale=scale, counts=counts)
                case "label":
                    yield KeptLabel(**fields)
                case "note":
                    yield KeptNote(**fields)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): check the path") from None


def _facts(file: BinaryIO, path: Path) -> StreamFacts:
    first = next(_records(file), None)
    fields = {} if first is None else _json_or_nothing(first[0])
    if fields.pop("format", None) != _FORMAT:
        raise UserError(f"{path}: is no spool of windows ({_FORMAT}), or its beginning is damaged")
    tuples = {name: tuple(fields[name]) for name in ("channels", "classes")}
    return StreamFacts(**{**fields, **tuples})


def _json_or_nothing(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _records(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each whole record's body, and where it ends."""
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, crc = _HEAD.unpack(head)
        body = file.read(length) if length <= _MOST_BYTES else b""
        if len(body) != length or zlib.crc32(body) != crc:
            return
        yield body, file.tell()


def _difference(wanted: StreamFacts, found: StreamFacts) -> str:
    name = next(n for n in StreamFacts.__slots__ if getattr(wanted, n) != getattr(found, n))
    return f"{name} is {getattr(found, name)!r} there, and {getattr(wanted, name)!r} here"
