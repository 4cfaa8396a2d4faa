"""Everything that is larger than a frame goes in pieces, and can be taken up again after a broken link."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.link.packing import MessageError, unpack


@dataclass(frozen=True, slots=True)
class Upload:
    """Payload of BEGIN and END."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BII")
    object: int
    length: int
    crc: int
    holes: bool = True
    """Ask for every hole; firmware that does not know them answers as always."""

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.object, self.length, self.crc) + (b"\1" if self.holes else b"")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        object_, length, crc = unpack(cls.LAYOUT, data, "upload")
        return cls(object_, length, crc, data[cls.LAYOUT.size : cls.LAYOUT.size + 1] == b"\1")


@dataclass(frozen=True, slots=True)
class Missing:
    """What an upload lacks: the answer to BEGIN, and to an END that came too soon."""

    HEAD: ClassVar[struct.Struct] = struct.Struct("<I")
    held: int
    """Bytes held from the start."""
    holes: tuple[tuple[int, int], ...] | None = None
    """From, to; None where the firmware tells only what it holds from the start."""

    def to_bytes(self) -> bytes:
        if self.holes is None:
            return self.HEAD.pack(self.held)
        return struct.pack("<II", self.held, len(self.holes)) + b"".join(
            struct.pack("<II", *hole) for hole in self.holes
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        (held,) = unpack(cls.HEAD, data, "what an upload lacks")
        if len(data) == cls.HEAD.size:
            return cls(held)
        (count,) = unpack(cls.HEAD, data[4:], "what an upload lacks")
        if count > 10_000 or len(data) < 8 + 8 * count:
            raise MessageError("the list of an upload's holes is cut")
        return cls(held, tuple(struct.iter_unpack("<II", data[8 : 8 + 8 * count])))

    def ranges(self, length: int) -> tuple[tuple[int, int], ...]:
        """What to send of something `length` bytes long. Raises MessageError for what lies outside it."""
        ranges = ((self.held, length),) if self.holes is None else self.holes
        if any(not 0 <= start <= stop <= length for start, stop in ranges):
            raise MessageError("a hole outside the upload")
        return tuple(each for each in ranges if each[0] < each[1])


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an upload: `data` belongs at `offset` bytes into `object`."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BI")
    object: int
    offset: int
    data: bytes

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.object, self.offset) + self.data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        values = [*unpack(cls.LAYOUT, data, "chunk"), data[cls.LAYOUT.size :]]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Read:
    """Asks for up to `most` bytes of an object (of one of its banks), from `offset` on."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBII")
    object: int
    bank: int
    offset: int
    most: int

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.object, self.bank, self.offset, self.most)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(*unpack(cls.LAYOUT, data, "read"))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that is read; `crc` is that of the whole."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<II")
    total: int
    crc: int
    data: bytes

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.total, self.crc) + self.data

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        values = [*unpack(cls.LAYOUT, data, "part"), data[cls.LAYOUT.size :]]
        return cls(*values)
