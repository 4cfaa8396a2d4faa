"""What a batch of messages says about a device, and how that is folded into what is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.base import Sequenced
from schemas.health import Health
from schemas.state import State
from service.store.batch import Arrived


@dataclass(slots=True)
class DeviceNews:
    """The row of a device as one batch alone would make it. Messages may come late, twice, and from an earlier boot."""

    site: str
    device: str
    first_seen: datetime
    last_seen: datetime
    connected: bool = False
    boot: int = 0
    wearer: str | None = None
    state: str | None = None
    state_boot: int = 0
    state_seq: int = 0
    health: str | None = None
    health_boot: int = 0
    health_seq: int = 0
    #: It has spoken itself; what the broker kept, and its last will, are no sign of life.
    heard: bool = False
    #: The last thing of its newest boot was its last will.
    gone: bool = False

    def fold(self, arrived: Arrived) -> None:
        message = arrived.message
        is_current = message.boot >= self.boot
        if message.seq == 0:
            # The last will. It is older than nothing of its boot, and its boot may not be over.
            if is_current:
                self.connected, self.gone, self.boot = False, True, message.boot
            return
        if not arrived.retained:
            self.last_seen = max(self.last_seen, arrived.received)
            self.heard = True
            if is_current:
                self.connected, self.gone = True, False
        if is_current:
            self.boot = message.boot
            self.wearer = message.wearer or self.wearer
        self._keep_newest(message, arrived.payload)

    def _keep_newest(self, message: Sequenced, payload: str) -> None:
        place = (message.boot, message.seq)
        if isinstance(message, State) and place >= (self.state_boot, self.state_seq):
            self.state, self.state_boot, self.state_seq = payload, *place
        elif isinstance(message, Health) and place >= (self.health_boot, self.health_seq):
            self.health, self.health_boot, self.health_seq = payload, *place


def news_of(arrived: Arrived) -> DeviceNews:
    """Of nothing yet: `fold` takes the messages."""
    site, device = arrived.device
    return DeviceNews(site, device, arrived.received, arrived.received)
