"""The plan file: header, sections, and the reader for hosts (`firmware/runtime/plan.c` is the device's).

The byte layout is told in `docs/plan-format.md`.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import Any

from schemas.errors import UserError
from schemas.signature import DEVICE_CLASS_GAP9, SIGNATURE_BYTES, Signature, SignatureError, SignedKind, read_signature

MAGIC = b"BTPL"
VERSION = (3, 0)
NO_VIEW = 0xFFFF
NO_FEATURES = 0xFFFFFFFF
_HEADER = struct.Struct("<4sHHIIIIII32sIIIf8IIIIIIIII")
_HEADER_BYTES = 256
_SECTION = struct.Struct("<IIII")
_VIEW = struct.Struct("<BBHII4I")
_STRIDES = struct.Struct("<4I")
VIEW_BYTES = _VIEW.size


class PlanError(UserError):
    """A plan file that cannot be used; the message says why and what to do."""


class Region(IntEnum):
    """Where a buffer lies; offsets are relative to the region's start."""

    CONST = 0
    WEIGHTS = 1
    GRADIENTS = 2
    OPTIMIZER = 3
    SCALARS = 4
    ARENA = 5
    L1 = 6
    L3 = 7


class ValueType(IntEnum):
    """How the values of a tensor lie in memory."""

    F32 = 0
    I16 = 1
    """Counts; what one of them is worth stands in a scale of each channel."""
    BF16 = 2
    """The upper half of a float32."""

    @property
    def bytes(self) -> int:
        return 4 if self is ValueType.F32 else 2


class Entry(IntEnum):
    """The programs of a plan."""

    PREPROCESS = 0
    INFER = 1
    TRAIN = 2
    UPDATE = 3


class _Section(IntEnum):
    NAMES = 1
    VIEWS = 2
    CONSTANTS = 3
    CODE = 4
    STRIDES = 8


#: Of a stride: it counts in odd rounds only, so that two parts take turns.
TURNS = 1 << 31


@dataclass(frozen=True, slots=True)
class View:
    """A dense tensor at a fixed place; `strides` (bytes) move it with each loop around it."""

    region: Region
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    type: ValueType = ValueType.F32

    def pack(self, strides: int) -> bytes:
        """`strides`: the number of its strides in their own section, from 1; 0 where it stays."""
        shape = (*self.shape, *(1,) * (4 - len(self.shape)))
        return _VIEW.pack(self.region | self.type << 4, len(self.shape), strides, self.offset, prod(shape), *shape)


def read_view(views: bytes, index: int) -> View:
    """Of a plan's section of views, without its strides."""
    place, rank, _, offset, _, *shape = _VIEW.unpack_from(views, index * _VIEW.size)
    return View(Region(place & 15), offset, tuple(shape[:rank]), (), ValueType(place >> 4))


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan says of itself without its program."""

    model: str
    channels: int
    samples: int
    classes: int
    sampling_rate_hz: float
    region_bytes: tuple[int, ...]
    input_view: int
    logits_view: int
    features_view: int
    loss_view: int
    training_bytes: int
    """Training state in L2 at its peak."""
    batch: int = 1
    """Windows that *train* runs over at once: more than one for exact batch norm."""
    batch_view: int = 0
    """Where their inputs lie."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan file, taken apart for a host."""

    header: PlanHeader
    names: dict[str, Any]
    """What only people and hosts read: class and channel names, parameters, memory report."""
    hash: str
    """SHA-256 of the file without its signature: weights name their plan by it."""
    signature: Signature | None = None
    """The site's, as it stands in the file: nobody has checked it yet (`device_agent.trusted` does)."""
    device_class: int = DEVICE_CLASS_GAP9


def pack_plan(
    header: PlanHeader,
    names: dict[str, Any],
    views: Sequence[View],
    constants: bytes,
    code: dict[Entry, bytes],
) -> bytes:
    """The plan file, unsigned. The same arguments always give the same bytes."""
    moving = dict.fromkeys(view.strides for view in views if any(view.strides))
    numbers = {strides: number for number, strides in enumerate(moving, 1)}
    sections: list[tuple[int, bytes]] = [
        (_Section.NAMES, json.dumps(names, sort_keys=True, separators=(",", ":")).encode()),
        (_Section.VIEWS, b"".join(view.pack(numbers.get(view.strides, 0)) for view in views)),
        (_Section.STRIDES, b"".join(_STRIDES.pack(*strides, *(0,) * (4 - len(strides))) for strides in moving)),
        (_Section.CONSTANTS, constants),
        *((_Section.CODE + entry, code[entry]) for entry in Entry),
    ]
    offset = _HEADER_BYTES + _SECTION.size * len(sections)
    table, body = b"", b""
    for kind, content in sections:
        table += _SECTION.pack(kind, offset + len(body), len(content), 0)
        body += content + b"\0" * (-len(content) % 4)
    length = offset + len(body)

    def head(crc: int) -> bytes:
        return _HEADER.pack(
            MAGIC,
            *VERSION,
            length,
            crc,
            length,
            _HEADER_BYTES,
            0,
            DEVICE_CLASS_GAP9,
            header.model.encode()[:31],
            header.channels,
            header.samples,
            header.classes,
            header.sampling_rate_hz,
            *header.region_bytes,
            header.input_view,
            header.logits_view,
            header.features_view,
            header.loss_view,
            header.training_bytes,
            len(sections),
            header.batch if header.batch > 1 else 0,
            header.batch_view,
        ).ljust(_HEADER_BYTES, b"\0")

    return head(_checksum(head(0) + table + body)) + table + body


def _checksum(signed: bytes) -> int:
    """Over everything that is signed but the four bytes of the checksum itself."""
    return zlib.crc32(signed[16:], zlib.crc32(signed[:12]))


def plan_sections(file: bytes) -> dict[str, bytes]:
    """What stands in a plan that `read_plan` takes: `views`, `constants`, `code 0` (of `Entry.PREPROCESS`), ..."""
    read_plan(file)
    found: dict[str, bytes] = {}
    for index in range(_HEADER.unpack_from(file)[27]):
        kind, offset, size, _ = _SECTION.unpack_from(file, _HEADER_BYTES + index * _SECTION.size)
        code = kind - _Section.CODE
        name = f"code {code}" if 0 <= code < len(Entry) else _Section(kind).name.lower()
        found[name] = file[offset : offset + size]
    return found


def read_plan(file: bytes) -> Plan:
    """Raises PlanError, naming what is wrong: no plan, another version, cut, or altered."""
    if len(file) < _HEADER_BYTES or file[:4] != MAGIC:
        raise PlanError("this is no plan file: it does not begin with BTPL; compile one with `biotrain plan --out`")
    fields = _HEADER.unpack_from(file)
    major, minor, length, crc, signed_length = fields[1:6]
    block = file[signed_length:]
    if major != VERSION[0]:
        raise PlanError(
            f"the plan has format version {major}.{minor}, this biotrain reads {VERSION[0]}.x: compile the model again"
        )
    if length != signed_length or length < _HEADER_BYTES or len(file) - length not in (0, SIGNATURE_BYTES):
        raise PlanError(f"the plan is cut or padded: it says {length} bytes and has {len(file)}; transfer it again")
    if _checksum(file[:signed_length]) != crc:
        raise PlanError("the plan has been altered: its checksum does not match; transfer or compile it again")
    if fields[8] != DEVICE_CLASS_GAP9:
        raise PlanError(f"the plan was made for devices of class {fields[8]}, ours are of class {DEVICE_CLASS_GAP9}")
    names: dict[str, Any] = {}
    for index in range(fields[27]):
        kind, offset, size, _ = _SECTION.unpack_from(file, _HEADER_BYTES + index * _SECTION.size)
        if kind == _Section.NAMES:
            names = json.loads(file[offset : offset + size])
    header = PlanHeader(
        model=fields[9].rstrip(b"\0").decode(),
        channels=fields[10],
        samples=fields[11],
        classes=fields[12],
        sampling_rate_hz=fields[13],
        region_bytes=tuple(fields[14:22]),
        input_view=fields[22],
        logits_view=fields[23],
        features_view=fields[24],
        loss_view=fields[25],
        training_bytes=fields[26],
        batch=fields[28] or 1,
        batch_view=fields[29],
    )
    signature = None
    if block:
        try:
            signature = read_signature(block, SignedKind.PLAN)
        except SignatureError as error:
            raise PlanError(f"the plan: {error}") from None
    return Plan(header, names, hashlib.sha256(file[:signed_length]).hexdigest(), signature, fields[8])
