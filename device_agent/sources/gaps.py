"""Finds missing samples, and the true rate, from time stamps."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence

from schemas.errors import UserError

_FOLLOW = 0.02
"""How quickly the expected time follows the stamps: slow against their jitter, quick against a drifting clock."""
_JITTERS = 4.0
"""A stamp that is so many times the usual jitter late means a gap."""


_LOOK_S = 8.0
"""So much of a stream is looked at for its rate."""
_OTHER_RATE = 0.1
"""Relative: no quartz is so far off."""
_BACK_S = 1.0


class StampForm:
    """Raises UserError when a stream is no longer the one that was opened: another rate, a clock set back."""

    def __init__(self, name: str, rate_hz: float) -> None:
        self._name, self._rate_hz = name, rate_hz
        self._stamps: deque[float] = deque(maxlen=max(round(_LOOK_S * rate_hz), 16))

    def check(self, stamps: Sequence[float]) -> None:
        """Stamps as they come. Lost samples make gaps and no other median; bursts make another median and no gaps."""
        kept = self._stamps
        for stamp in stamps:
            if kept and stamp < kept[-1] - _BACK_S:
                raise UserError(
                    f"LSL stream {self._name!r}: its stamps run backwards, by {kept[-1] - stamp:.1f} s: its sender has "
                    "started again or set its clock back: start the agent again"
                )
            kept.append(stamp)
        if len(kept) < (kept.maxlen or 0):
            return
        steps = [later - sooner for sooner, later in zip(kept, list(kept)[1:], strict=False)]
        mean_hz, median_s = (len(kept) - 1) / (kept[-1] - kept[0]), statistics.median(steps)
        faster = mean_hz > self._rate_hz * (1 + _OTHER_RATE)
        slower = median_s > (1 + _OTHER_RATE) / self._rate_hz
        kept.clear()
        if faster or slower:
            given = mean_hz if faster else 1 / median_s
            raise UserError(
                f"LSL stream {self._name!r}: gives {given:.0f} Hz now, and gave {self._rate_hz:g} Hz when it was "
                "opened: its sender has changed its format: set it back, or choose a plan that was made for the new one"
            )


class StampWatch:
    """`take` every sample's stamp, in order. Clean stamps give gaps to the sample; jitter raises the threshold.

    The rate is the slope of a least-squares line through all stamps, lost samples counted.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._expected_s: float | None = None
        self._jitter_s = 0.0
        self._count = 0
        self._first_s = 0.0
        self._n = self._sum_i = self._sum_t = self._sum_ii = self._sum_it = 0.0

    def take(self, stamp_s: float) -> int:
        """How many samples are missing before this one."""
        missing = 0
        if self._expected_s is None:
            self._first_s = stamp_s
        else:
            late_s = stamp_s - self._expected_s
            if late_s > max(0.75 * self._period_s, _JITTERS * self._jitter_s):
                missing = round(late_s / self._period_s)
                self._expected_s += missing * self._period_s
                late_s = stamp_s - self._expected_s
            self._jitter_s += _FOLLOW * (abs(late_s) - self._jitter_s)
            self._expected_s += _FOLLOW * late_s
        self._count += missing
        self._expected_s = (stamp_s if self._expected_s is None else self._expected_s) + self._period_s
        index, time_s = float(self._count), stamp_s - self._first_s
        self._n += 1
        self._sum_i += index
        self._sum_t += time_s
        self._sum_ii += index * index
        self._sum_it += index * time_s
        self._count += 1
        return missing

    @property
    def rate_hz(self) -> float | None:
        """None before there is enough to tell."""
        spread = self._n * self._sum_ii - self._sum_i**2
        if self._n < 2 or spread <= 0:
            return None
        slope = (self._n * self._sum_it - self._sum_i * self._sum_t) / spread
        return 1.0 / slope if slope > 0 and math.isfinite(slope) else None

    @property
    def drift_ppm(self) -> float | None:
        """Faster than the nominal rate: above 0."""
        rate_hz = self.rate_hz
        return None if rate_hz is None else (rate_hz * self._period_s - 1.0) * 1e6
