"""Whose the wearable is: the site's keys that it trusts, and the people it has weights of."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.link.packing import MessageError, pack_text, read_text, unpack


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """What a wearable trusts."""

    HEAD: ClassVar[struct.Struct] = struct.Struct("<BII")
    mode: int
    """0: development, it has no keys and takes anything; 1: only what its site has signed; 2: its keys were lost."""
    number: int
    """Of its set of keys."""
    plan_number: int
    """Of the newest plan that it took: it refuses older ones."""
    site: str
    key_ids: tuple[str, ...]
    """16 hex digits each."""

    def to_bytes(self) -> bytes:
        head = self.HEAD.pack(self.mode, self.number, self.plan_number) + pack_text(self.site)
        return head + bytes([len(self.key_ids)]) + b"".join(map(bytes.fromhex, self.key_ids))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        mode, number, plan_number = unpack(cls.HEAD, data, "keys")
        site, at = read_text(data, cls.HEAD.size)
        ids = data[at + 1 :]
        if len(data) <= at or len(ids) < 8 * data[at]:
            raise MessageError("the list of keys is cut")
        return cls(mode, number, plan_number, site, tuple(ids[8 * i : 8 * i + 8].hex() for i in range(data[at])))


@dataclass(frozen=True, slots=True)
class KnownWearer:
    """A place for one person's weights."""

    name: str
    serving: int
    """Version of the weights; 0: none."""
    previous: int


@dataclass(frozen=True, slots=True)
class Wearers:
    """People who have weights on this wearable, and the one who wears it."""

    active: str
    places: int
    known: tuple[KnownWearer, ...]

    def to_bytes(self) -> bytes:
        each = [pack_text(w.name) + struct.pack("<II", w.serving, w.previous) for w in self.known]
        return pack_text(self.active) + bytes([self.places, len(self.known)]) + b"".join(each)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        active, at = read_text(data, 0)
        if len(data) < at + 2:
            raise MessageError("the list of wearers is cut")
        places, count = data[at], data[at + 1]
        at += 2
        known = []
        for _ in range(count):
            name, at = read_text(data, at)
            serving, previous = unpack(struct.Struct("<II"), data[at:], "a wearer")
            known.append(KnownWearer(name, serving, previous))
            at += 8
        return cls(active, places, tuple(known))
