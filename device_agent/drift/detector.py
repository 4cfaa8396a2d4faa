"""What a drift detector is: fed one number at a time, it says when their mean has changed for good."""

from __future__ import annotations

from typing import Protocol


class Detector(Protocol):
    """An implementer holds: no clock, no randomness, the same answer for the same numbers.

    Once `drift_detected` is true it stays so until `reset`: since when is never lost.
    """

    @property
    def name(self) -> str:
        """One level of a topic, e.g. `page-hinkley`."""

    def update(self, x: float) -> None:
        """The next value of the stream: an error (0 or 1), an entropy, a distance."""

    @property
    def drift_detected(self) -> bool:
        """Whether any value since the last reset has made it certain enough."""

    @property
    def statistic(self) -> tuple[float, float]:
        """The test's statistic and the threshold that it is compared with; (0, 1) where a detector has none."""

    @property
    def change_point(self) -> int:
        """Index, from 0 at the last reset, of the update where the change is thought to have begun."""

    def reset(self) -> None:
        """Begins anew: what it has seen counts no more."""
