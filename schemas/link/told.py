"""What the wearable says unasked: windows that it recorded, entries of its log, heartbeats."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.link.packing import MessageError, unpack


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
        window, time_us, version, predicted, classes, features, *rest = unpack(cls.LAYOUT, data, "report")
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
        return cls(*unpack(cls.LAYOUT, data, "heartbeat"))
