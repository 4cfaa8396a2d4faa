"""What one transaction takes in, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from schemas.alert import Alert
from schemas.base import Sequenced
from schemas.desired import Reported
from schemas.topics import Kind

#: (site, device, boot, seq)
Key = tuple[str, str, int, int]


class Arrived(NamedTuple):
    """A checked message, with the bytes it came in. One is made for every message: a tuple takes a third of the time
    of a frozen dataclass."""

    message: Sequenced
    kind: Kind
    payload: str
    received: datetime
    #: Kept by the broker for newcomers: says nothing about whether the device is there now.
    retained: bool = False

    @property
    def device(self) -> tuple[str, str]:
        message = self.message
        return message.site, message.device

    @property
    def key(self) -> Key:
        message = self.message
        return message.site, message.device, message.boot, message.seq


@dataclass(frozen=True, slots=True)
class Poison:
    """A payload that could not be understood."""

    topic: str
    payload: bytes
    reason: str
    received: datetime


class NewMessage(NamedTuple):
    """A message that was not there before, with its id in the database."""

    id: int
    arrived: Arrived


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert after a change that its channels hear of."""

    id: int
    alert: Alert


@dataclass(slots=True)
class Written:
    """After the commit: what was new."""

    messages: list[NewMessage] = field(default_factory=list)
    alerts: list[AlertChange] = field(default_factory=list)
    duplicates: int = 0
    #: What went to the quarantine, conflicts too.
    poison: list[Poison] = field(default_factory=list)
    #: Messages with a number that is there with other content: kept in the quarantine.
    conflicts: int = 0

    @property
    def quarantined(self) -> int:
        return len(self.poison)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction."""

    arrived: Sequence[Arrived] = ()
    poison: Sequence[Poison] = ()
    reported: Sequence[Reported] = ()
