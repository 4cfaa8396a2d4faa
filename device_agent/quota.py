"""How much the outbox may hold, and what goes when it holds more. Pure: it decides from numbers.

Telemetry gives way, events never do. When events alone come near the quota, or the disk is nearly full, the outbox is
*full*: of telemetry only the newest few messages are kept, and the agent begins no adaptation, which would make more
events, until a supervisor has stored what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Of the quota: events above the first fill it, below the second there is room again.
FULL_ABOVE, ROOM_BELOW = 7 / 8, 5 / 8
#: Telemetry has been thinned; it is over when the outbox holds less than this share. Thinning leaves more than that:
#: only a supervisor that stores ends it.
RELAXED_BELOW = 1 / 4
#: Messages of telemetry and health that stay whatever happens: they tell how things are now.
NEWEST_KEPT = 8


class Pressure(StrEnum):
    """The outbox's state; each change is an event."""

    NONE = "none"
    THINNED = "thinned"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Load:
    """What the outbox holds: messages, their bytes, and the bytes of events among them."""

    messages: int = 0
    total: int = 0
    events: int = 0

    def plus(self, size: int, *, event: bool, messages: int = 1) -> Load:
        return Load(self.messages + messages, self.total + size, self.events + size * event)


@dataclass(frozen=True, slots=True)
class Row:
    """A telemetry or health message in the outbox, and the bytes that it takes there."""

    boot: int
    seq: int
    size: int


def next_pressure(now: Pressure, load: Load, *, limit: int, disk_low: bool) -> Pressure:
    """`limit`: the quota, bytes."""
    if disk_low or load.events > FULL_ABOVE * limit or (now is Pressure.FULL and load.events > ROOM_BELOW * limit):
        return Pressure.FULL
    if load.total > limit or (now is not Pressure.NONE and load.total > RELAXED_BELOW * limit):
        return Pressure.THINNED
    return Pressure.NONE


def thin(rows: Sequence[Row], load: Load, *, limit: int) -> list[Row]:
    """Which of `rows` (oldest first) go, so that half of the room that events leave is free.

    Every second of the older ones goes, as often as needed: what remains still covers the whole time. The newest
    quarter is left as it is in each round.
    """
    excess = load.total - (load.events + limit) // 2
    kept, doomed = list(rows), list[Row]()
    while excess > 0 and len(kept) > NEWEST_KEPT:
        older = max(len(kept) - max(len(kept) // 4, NEWEST_KEPT), 1)
        gone = kept[:older:2]
        kept = kept[1:older:2] + kept[older:]
        doomed += gone
        excess -= sum(row.size for row in gone)
    return sorted(doomed, key=lambda row: (row.boot, row.seq))
