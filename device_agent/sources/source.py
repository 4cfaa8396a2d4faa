"""What every source of windows must hold, and what comes out of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from device_agent.sources.window import Window

if TYPE_CHECKING:
    from device_agent.wearable.api import Wearable, WindowReport


@dataclass(frozen=True, slots=True)
class LateLabel:
    """The label of a window that came without one."""

    window_id: int
    label: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A window that the wearable recorded and classified by itself; its signal stays there."""

    report: WindowReport
    time_s: float
    """End of the window, seconds since the epoch (this computer's clock)."""


Item = Window | Recorded | LateLabel


@dataclass(frozen=True, slots=True)
class Layout:
    """What a plan must have been made for."""

    name: str
    """For messages: a person, a stream."""
    channels: tuple[str, ...]
    samples: int
    """Per channel of one window."""
    sampling_rate_hz: float
    classes: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """What a live source knows of itself."""

    lost_samples: int
    clock_offset_s: float | None
    """Of the stream's clock from this computer's."""
    drift_ppm: float | None
    """By how many parts in a million the stream runs faster than its nominal rate, by this computer's clock."""
    silent: bool = False
    """It has given no samples for some seconds: stalled, unplugged, gone."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a stream begins, or where it carries on."""

    wearable: Callable[[], Awaitable[Wearable]]
    """The connected wearable, as soon as there is one."""
    wearable_lost: Callable[[Wearable], None]
    """To be told by whoever meets WearableLost."""
    speed: float = 1.0
    """Times real time, where the source is not real time anyway."""
    anchor_s: float | None = None
    """When the stream began, if a run before this one began it."""
    after: int | None = None
    """The last window that was handled then."""
    first: int = 0
    """The number of the stream's first window."""
    capacity: int = 32
    """Windows that wait for a slow reader; then the oldest are lost."""


class WindowSource(ABC):
    """`async with` it, then `async for item in source`. To add one: implement this, register it in `registry.py`.

    Windows come with growing ids, on a wall clock; a source never waits for its reader. A label may follow its window
    later, or never.
    """

    anchor_s: float
    """When the stream began, seconds since the epoch. Kept, so that the stream carries on after a restart."""
    lost: int
    """Windows so far that nobody will see."""

    @property
    def windows_waiting(self) -> int:
        """Windows that have come and were not read yet, where the source knows."""
        return 0

    @property
    def health(self) -> SourceHealth | None:
        """How the source itself is; None where it cannot tell."""
        return None

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Item]:
        """Ends with the stream."""
