"""Predictions for the application that uses them, on this computer: what is told, and what an outlet must hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from device_agent.sources.source import LateLabel


@dataclass(frozen=True, slots=True)
class Told:
    """One window's prediction."""

    window: int
    ended_s: float
    """End of the window, seconds since the epoch (the source's clock)."""
    predicted: int
    probabilities: tuple[float, ...]
    weights_version: int
    faulty: bool
    """A sensor fault: better not acted upon."""
    classes: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """Probability of the predicted class, 0 to 1."""
        return self.probabilities[self.predicted]


#: What an application knows afterwards: the label of a window that it was told of.
TakeLabel = Callable[[LateLabel], Awaitable[None]]


class Outlet(ABC):
    """To add one: implement this, and add one line in `registry.py`."""

    @property
    @abstractmethod
    def address(self) -> str:
        """As an application finds it, for people to read."""

    @abstractmethod
    async def open(self, classes: tuple[str, ...], take_label: TakeLabel) -> None:
        """Raises UserError when it cannot be."""

    @abstractmethod
    def tell(self, told: Told) -> None:
        """At once: it never waits for a reader, and a reader that is slow misses some."""

    @abstractmethod
    async def close(self) -> None:
        """Nothing is told any more; readers are let go."""
