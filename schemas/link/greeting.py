"""How agent and wearable introduce themselves, and what the wearable runs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.link.packing import MessageError, read_text, unpack


@dataclass(frozen=True, slots=True)
class Hello:
    """The first request of a session. This layout is the same in every version of the protocol."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBI")
    lowest: int
    highest: int
    client: int
    """Chosen at random by each client: the wearable remembers the answers given to one of them."""

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.lowest, self.highest, self.client)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(*unpack(cls.LAYOUT, data, "hello"))


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """How the wearable introduces itself; `lowest` and `highest` are the protocol versions that it speaks."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBHIIQI")
    lowest: int
    highest: int
    max_payload: int
    heartbeat_ms: int
    boot: int
    time_us: int
    first_event: int
    """Index of the oldest event that is not acknowledged."""
    device_id: str
    firmware: str
    capabilities: int = 0
    """`Capability` bits; none from firmware that does not tell."""
    build: str = ""
    """Digest of the firmware's source; "" likewise."""

    def to_bytes(self) -> bytes:
        head = self.LAYOUT.pack(
            self.lowest,
            self.highest,
            self.max_payload,
            self.heartbeat_ms,
            self.boot,
            self.time_us,
            self.first_event,
        )
        texts = [bytes([len(t.encode())]) + t.encode() for t in (self.device_id, self.firmware, self.build)]
        return head + texts[0] + texts[1] + struct.pack("<I", self.capabilities) + texts[2]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        fields = unpack(cls.LAYOUT, data, "answer to hello")
        device_id, at = read_text(data, cls.LAYOUT.size)
        firmware, at = read_text(data, at)
        values = [*fields, device_id, firmware]
        if len(data) >= at + 4:
            values += [struct.unpack_from("<I", data, at)[0], read_text(data, at + 4)[0]]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Info:
    """The plan and the weights that the wearable runs: windows of `channels` x `samples`, of which it keeps a ring."""

    HEAD: ClassVar[struct.Struct] = struct.Struct("<B32s")
    TAIL: ClassVar[struct.Struct] = struct.Struct("<IIIfIII")
    PLAN: ClassVar[struct.Struct] = struct.Struct("<II")
    has_plan: bool
    has_weights: bool
    plan_hash: str
    """64 hex digits; "" without a plan."""
    model: str
    channels: int
    samples: int
    classes: int
    sampling_rate_hz: float
    weights_version: int
    ring_capacity: int
    names_bytes: int
    batch: int = 1
    """Windows that the plan trains over at once."""
    optimizer: int = 0
    """Index in `OPTIMIZERS`; both are told by firmware 0.2.0 and later."""

    def to_bytes(self) -> bytes:
        flags = self.has_plan | self.has_weights << 1
        model = self.model.encode()
        return (
            self.HEAD.pack(flags, bytes.fromhex(self.plan_hash) if self.plan_hash else bytes(32))
            + bytes([len(model)])
            + model
            + self.TAIL.pack(
                self.channels,
                self.samples,
                self.classes,
                self.sampling_rate_hz,
                self.weights_version,
                self.ring_capacity,
                self.names_bytes,
            )
            + self.PLAN.pack(self.batch, self.optimizer)
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        if len(data) < cls.HEAD.size:
            raise MessageError("information is cut")
        flags, digest = cls.HEAD.unpack_from(data)
        model, at = read_text(data, cls.HEAD.size)
        tail = unpack(cls.TAIL, data[at:], "information")
        at += cls.TAIL.size
        plan = cls.PLAN.unpack_from(data, at) if len(data) >= at + cls.PLAN.size else (1, 0)
        has_plan = bool(flags & 1)
        return cls(has_plan, bool(flags & 2), digest.hex() if has_plan else "", model, *tail, *plan)
