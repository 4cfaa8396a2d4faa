"""Frames on a byte stream: COBS, closed by a zero byte, with a CRC-32 at the end.

The same as `firmware/protocol/frame.c`; both are held to the vectors in `tests/link/vectors.json`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

PROTOCOL = 1
#: Two frames of this size fit beside everything else into the 60 KB that stay resident in the wearable's L2; larger
#: things go in chunks, between which a window can always pass.
MAX_PAYLOAD = 2048
_HEADER = struct.Struct("<BBHII")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
MAX_FRAME = HEADER_BYTES + MAX_PAYLOAD + _CRC.size
#: COBS adds one byte in 254, and the closing zero.
MAX_ENCODED = MAX_FRAME + MAX_FRAME // 254 + 2


class FrameKind(IntEnum):
    """Who sends a frame, and whether it is answered."""

    REQUEST = 1
    """Agent to wearable; answered by one response with the same id."""
    RESPONSE = 2
    """Payload: status u8, then the answer."""
    ONE_WAY = 3
    """Agent to wearable, never answered: chunks, pings."""
    EVENT = 4
    """`id`: index in the wearable's event log."""
    REPORT = 5
    """`id`: counts the windows that the wearable recorded."""
    HEARTBEAT = 6


class FrameError(ValueError):
    """Bytes between two zeros that are no whole frame."""


def cobs_encode(data: bytes) -> bytes:
    """`data` without any zero byte; the closing zero is not part of it."""
    out = bytearray()
    for run in data.split(b"\0"):
        at = 0
        while len(run) - at >= 254:
            out.append(255)
            out += run[at : at + 254]
            at += 254
        out.append(len(run) - at + 1)
        out += run[at:]
    return bytes(out)


def cobs_decode(encoded: bytes) -> bytes:
    """Raises FrameError when a block reaches over the end."""
    out = bytearray()
    at = 0
    while at < len(encoded):
        code = encoded[at]
        if code == 0 or at + code > len(encoded):
            raise FrameError("cut")
        out += encoded[at + 1 : at + code]
        at += code
        if code != 255 and at < len(encoded):
            out.append(0)
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the link, before COBS: a header of 12 bytes, the payload, a CRC-32 over both."""

    kind: int
    opcode: int = 0
    sequence: int = 0
    """Counts the sender's frames of a session, modulo 65,536."""
    session: int = 0
    id: int = 0
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        """As it goes over the link, with the closing zero."""
        if len(self.payload) > MAX_PAYLOAD:
            raise FrameError(f"payload has {len(self.payload)} bytes, at most {MAX_PAYLOAD} fit into a frame")
        head = _HEADER.pack(self.kind, self.opcode, self.sequence, self.session, self.id)
        return cobs_encode(head + self.payload + _CRC.pack(zlib.crc32(head + self.payload))) + b"\0"

    @classmethod
    def from_bytes(cls, encoded: bytes) -> Frame:
        """From what stood between two zeros. Raises FrameError when it was cut or altered."""
        data = cobs_decode(encoded)
        if not HEADER_BYTES + _CRC.size <= len(data) <= MAX_FRAME:
            raise FrameError("cut" if len(data) < MAX_FRAME else "too long")
        body = data[: -_CRC.size]
        if zlib.crc32(body) != _CRC.unpack(data[-_CRC.size :])[0]:
            raise FrameError("altered")
        kind, opcode, sequence, session, id_ = _HEADER.unpack_from(body)
        return cls(kind, opcode, sequence, session, id_, body[HEADER_BYTES:])


class Receiver:
    """Bytes in, whole frames out. Holds at most one frame; finds its feet again at the next zero byte."""

    def __init__(self) -> None:
        self.corrupt = 0
        """Frames thrown away: cut, too long, or altered."""
        self._held = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[Frame]:
        """Whole frames in what has come so far; damaged ones are counted and left out."""
        frames = []
        first, *rest = data.split(b"\0")
        self._keep(first)
        for part in rest:  # each begins behind a zero
            frame = self._close()
            if frame is not None:
                frames.append(frame)
            self._keep(part)
        return frames

    def _keep(self, part: bytes) -> None:
        if self._skipping or len(self._held) + len(part) > MAX_ENCODED:
            self._skipping = True
            self._held.clear()
        else:
            self._held += part

    def _close(self) -> Frame | None:
        held, skipped = bytes(self._held), self._skipping
        self._held.clear()
        self._skipping = False
        if not held and not skipped:
            return None
        try:
            if not skipped:
                return Frame.from_bytes(held)
        except FrameError:
            pass
        self.corrupt += 1
        return None


def newer(sequence: int, seen: int) -> bool:
    """Was `sequence` given out after `seen`? Both count modulo 65,536."""
    return 0 < (sequence - seen) % 65536 < 32768
