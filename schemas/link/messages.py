"""The payloads of frames as frozen dataclasses; all fields little-endian."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self


class MessageError(ValueError):
    """A payload that is not what its frame says."""


def _unpack(layout: struct.Struct, data: bytes, what: str) -> tuple[Any, ...]:
    if len(data) < layout.size:
        raise MessageError(f"{what}: {len(data)} bytes, expected {layout.size}")
    return layout.unpack_from(data)


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + (data[at] if at < len(data) else 0)
    if end > len(data):
        raise MessageError("a text reaches over the end")
    return data[at + 1 : end].decode("utf-8", "replace"), end


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
        return cls(*_unpack(cls.LAYOUT, data, "hello"))


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
        fields = _unpack(cls.LAYOUT, data, "answer to hello")
        device_id, at = _text(data, cls.LAYOUT.size)
        firmware, at = _text(data, at)
        values = [*fields, device_id, firmware]
        if len(data) >= at + 4:
            values += [struct.unpack_from("<I", data, at)[0], _text(data, at + 4)[0]]
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
        model, at = _text(data, cls.HEAD.size)
        tail = _unpack(cls.TAIL, data[at:], "information")
        at += cls.TAIL.size
        plan = cls.PLAN.unpack_from(data, at) if len(data) >= at + cls.PLAN.size else (1, 0)
        has_plan = bool(flags & 1)
        return cls(has_plan, bool(flags & 2), digest.hex() if has_plan else "", model, *tail, *plan)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Named counters, in the order of the firmware; later firmware adds at the end."""

    LATER: ClassVar[tuple[str, ...]] = ("plans_refused", "weights_refused", "keys_refused", "banks_refused")
    """Since 0.3.0; nothing is counted before."""
    POWER: ClassVar[tuple[str, ...]] = ("battery_permille", "charging", "temperature_decicelsius")
    """Signed; missing where the board cannot measure it, which is `UNTOLD` on the wire, and from earlier firmware."""
    MARKS: ClassVar[tuple[str, ...]] = ("arena_mark_bytes", "l1_mark_bytes")
    """What training has touched of the plan's arena in L2 and of its part of L1; 0 from earlier firmware."""
    UNTOLD: ClassVar[int] = -(1 << 31)
    NAMES: ClassVar[tuple[str, ...]] = (
        "windows",
        "ring_windows",
        "events_pending",
        "fit_steps",
        "total_bytes",
        "resident_bytes",
        "l2_peak_bytes",
        "frames_corrupt",
        "weights_version",
        "fitting",
        "candidate",
        "recording",
        "frames_stale",
        "frames_lost",
        "reports_lost",
        "events_refused",
        "l1_bytes",
        "l3_bytes",
        *LATER,
        *POWER,
        *MARKS,
    )
    uptime_us: int
    values: dict[str, int]

    def to_bytes(self) -> bytes:
        told = dict.fromkeys(self.POWER, self.UNTOLD) | dict.fromkeys(self.MARKS, 0) | self.values
        values = [told[name] & 0xFFFFFFFF for name in self.NAMES]
        return struct.pack(f"<QI{len(values)}I", self.uptime_us, len(values), *values)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        uptime, count = _unpack(struct.Struct("<QI"), data, "statistics")
        if count > 1000 or len(data) < 12 + 4 * count:
            raise MessageError("statistics are cut")
        values = struct.unpack_from(f"<{count}I", data, 12)
        least = len(cls.NAMES) - len(cls.LATER) - len(cls.POWER) - len(cls.MARKS)
        if count < least:
            raise MessageError(f"statistics: {count} counters, expected {least} or more")
        told = dict.fromkeys((*cls.LATER, *cls.MARKS), 0) | dict(zip(cls.NAMES, values, strict=False))
        for name in cls.POWER:
            if name in told and (signed := _signed(told.pop(name))) != cls.UNTOLD:
                told[name] = signed
        return cls(uptime, told)


def _signed(value: int) -> int:
    """An i32 that was read as u32."""
    return value - (1 << 32) if value >> 31 else value


def pack_text(text: str) -> bytes:
    """u8 length, then the characters. Raises MessageError."""
    encoded = text.encode()
    if len(encoded) > 255 or b"\0" in encoded:
        raise MessageError(f"{text!r} is no name: at most 255 bytes, none of them zero")
    return bytes([len(encoded)]) + encoded


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
        mode, number, plan_number = _unpack(cls.HEAD, data, "keys")
        site, at = _text(data, cls.HEAD.size)
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
        active, at = _text(data, 0)
        if len(data) < at + 2:
            raise MessageError("the list of wearers is cut")
        places, count = data[at], data[at + 1]
        at += 2
        known = []
        for _ in range(count):
            name, at = _text(data, at)
            serving, previous = _unpack(struct.Struct("<II"), data[at:], "a wearer")
            known.append(KnownWearer(name, serving, previous))
            at += 8
        return cls(active, places, tuple(known))


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
        object_, length, crc = _unpack(cls.LAYOUT, data, "upload")
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
        (held,) = _unpack(cls.HEAD, data, "what an upload lacks")
        if len(data) == cls.HEAD.size:
            return cls(held)
        (count,) = _unpack(cls.HEAD, data[4:], "what an upload lacks")
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
        values = [*_unpack(cls.LAYOUT, data, "chunk"), data[cls.LAYOUT.size :]]
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
        return cls(*_unpack(cls.LAYOUT, data, "read"))


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
        values = [*_unpack(cls.LAYOUT, data, "part"), data[cls.LAYOUT.size :]]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class WindowBody:
    """An uploaded window."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IiQ")
    id: int
    label: int
    """-1: none."""
    time_us: int
    """End of the window, the source's clock."""
    scale: bytes
    """float32 [channels]"""
    counts: bytes
    """int16 [channels, samples]"""

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(self.id, self.label, self.time_us) + self.scale + self.counts


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Behind the windows of a fit, for firmware with `Capability.FIT_SETTINGS`."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IIIffff")
    optimizer: int
    """Index in `OPTIMIZERS` that the plan must have; 0: any."""
    nesterov: bool
    warm_up: int
    beta_1: float
    beta_2: float
    epsilon: float
    clip_norm: float

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(
            self.optimizer, self.nesterov, self.warm_up, self.beta_1, self.beta_2, self.epsilon, self.clip_norm
        )


@dataclass(frozen=True, slots=True)
class FitBody:
    """A fit: which windows of the ring, how many epochs, SGD's settings; `settings` has those of other optimisers."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IIIIQfffI")
    fit_id: int
    epochs: int
    batch_size: int
    cosine: bool
    seed: int
    learning_rate: float
    momentum: float
    weight_decay: float
    window_ids: Sequence[int]
    settings: FitSettings | None = None

    def to_bytes(self) -> bytes:
        head = self.LAYOUT.pack(
            self.fit_id,
            self.epochs,
            self.batch_size,
            self.cosine,
            self.seed,
            self.learning_rate,
            self.momentum,
            self.weight_decay,
            len(self.window_ids),
        )
        tail = self.settings.to_bytes() if self.settings else b""
        return head + struct.pack(f"<{len(self.window_ids)}I", *self.window_ids) + tail


@dataclass(frozen=True, slots=True)
class EvaluationBody:
    """Asks how many of these windows of the ring the weights of a bank get right."""

    bank: int
    window_ids: Sequence[int]

    def to_bytes(self) -> bytes:
        return struct.pack(f"<II{len(self.window_ids)}I", self.bank, len(self.window_ids), *self.window_ids)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one window."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IQIHHHiffQQ")
    window_id: int
    time_us: int
    weights_version: int
    predicted: int
    label: int
    margin: float
    entropy: float
    flat_channels: int
    saturated_channels: int
    probabilities: tuple[float, ...]
    features: tuple[float, ...]

    def to_bytes(self) -> bytes:
        classes, features = len(self.probabilities), len(self.features)
        return self.LAYOUT.pack(
            self.window_id,
            self.time_us,
            self.weights_version,
            self.predicted,
            classes,
            features,
            self.label,
            self.margin,
            self.entropy,
            self.flat_channels,
            self.saturated_channels,
        ) + struct.pack(f"<{classes + features}f", *self.probabilities, *self.features)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        window, time_us, version, predicted, classes, features, *rest = _unpack(cls.LAYOUT, data, "report")
        if len(data) != cls.LAYOUT.size + 4 * (classes + features):
            raise MessageError("a report is cut")
        floats = struct.unpack_from(f"<{classes + features}f", data, cls.LAYOUT.size)
        values = [window, time_us, version, predicted, *rest, floats[:classes], floats[classes:]]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An entry of the wearable's event log."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IIIIQIIIIfII32s")
    index: int
    boot: int
    seq: int
    kind: int
    time_us: int
    fit_id: int
    epoch: int
    step: int
    steps: int
    loss: float
    weights_version: int
    l2_peak_bytes: int
    detail: str

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(
            self.index,
            self.boot,
            self.seq,
            self.kind,
            self.time_us,
            self.fit_id,
            self.epoch,
            self.step,
            self.steps,
            self.loss,
            self.weights_version,
            self.l2_peak_bytes,
            self.detail.encode()[:31],
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        if len(data) < cls.LAYOUT.size:
            raise MessageError("an event is cut")
        *fields, detail = cls.LAYOUT.unpack_from(data)
        values = [*fields, detail.split(b"\0")[0].decode("utf-8", "replace")]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the wearable says of itself every so often; all numbers count from its start."""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<QIIIIIB")
    time_us: int
    next_event: int
    weights_version: int
    windows: int
    reports: int
    frames_corrupt: int
    flags: int
    """Bit 0: a fit runs; 1: there is a candidate; 2: recording."""

    @property
    def recording(self) -> bool:
        return bool(self.flags & 4)

    def to_bytes(self) -> bytes:
        return self.LAYOUT.pack(
            self.time_us,
            self.next_event,
            self.weights_version,
            self.windows,
            self.reports,
            self.frames_corrupt,
            self.flags,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        return cls(*_unpack(cls.LAYOUT, data, "heartbeat"))
