"""How often one client may ask: token buckets in this process's memory, bounded in number."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: So many clients are remembered; the one that has not asked for longest is forgotten, and its bucket was full by then
#: unless as many others came within seconds.
_CLIENTS = 10_000
#: Of sums of floats: who has waited as told is not told to wait again.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and then `per_s`."""

    per_s: float
    burst: int


class Limiter:
    """A bucket for each client; what a bucket lacks is told as the seconds until it has one again."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        #: What is left, and when that was.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> int:
        """0 when it may ask now; else whole seconds, as `Retry-After` wants them. Takes nothing."""
        lacking = 1.0 - self._left(client)
        return 0 if lacking <= _ROUNDING else math.ceil(lacking / self._rate.per_s)

    def take(self, client: str) -> int:
        """As `wait_s`, and takes one where there is one."""
        wait = self.wait_s(client)
        if not wait:
            self._buckets[client] = (self._left(client) - 1.0, self._clock())
            self._buckets.move_to_end(client)
            if len(self._buckets) > _CLIENTS:
                self._buckets.popitem(last=False)
        return wait

    def _left(self, client: str) -> float:
        left, at = self._buckets.get(client, (float(self._rate.burst), self._clock()))
        return min(float(self._rate.burst), left + (self._clock() - at) * self._rate.per_s)


#: Tokens that are not known, of one address: ten, and then one every six seconds.
GUESSES = Rate(1 / 6, 10)


class RequestLimits:
    """Hold where tokens are asked for: by token, and by address for whoever has none."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        #: Opening a page asks for a dozen things at once.
        self.requests = Limiter(Rate(per_s, max(20, int(4 * per_s))), clock)
        self.guesses = Limiter(GUESSES, clock)
