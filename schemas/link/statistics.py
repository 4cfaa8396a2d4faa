"""What the wearable counts, and the high-water marks of its memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from schemas.link.packing import MessageError, signed, unpack


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
        uptime, count = unpack(struct.Struct("<QI"), data, "statistics")
        if count > 1000 or len(data) < 12 + 4 * count:
            raise MessageError("statistics are cut")
        values = struct.unpack_from(f"<{count}I", data, 12)
        least = len(cls.NAMES) - len(cls.LATER) - len(cls.POWER) - len(cls.MARKS)
        if count < least:
            raise MessageError(f"statistics: {count} counters, expected {least} or more")
        told = dict.fromkeys((*cls.LATER, *cls.MARKS), 0) | dict(zip(cls.NAMES, values, strict=False))
        for name in cls.POWER:
            if name in told and (value := signed(told.pop(name))) != cls.UNTOLD:
                told[name] = value
        return cls(uptime, told)
