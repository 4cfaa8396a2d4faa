"""What the agent knows of the windows in the wearable's ring: never the signal, only ids, labels and their fate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Kept:
    """One window of the ring."""

    id: int
    label: int | None
    usable: bool
    """False with a sensor fault: never trained on."""
    trained: bool = False
    """The serving weights, or their ancestors on this device, have learned from it."""
    predicted: int | None = None
    """By the weights that served when it came."""


class RingMemory:
    """The newest `capacity` windows that were pushed, oldest first: the wearable overwrites its oldest the same way."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, expected 1 or more")
        self.capacity = capacity
        self._kept: deque[Kept] = deque(maxlen=capacity)
        self._rows: deque[list[int]] = deque(maxlen=capacity)
        """The same as `snapshot` gives it: it is asked for with every message."""

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, window: int, label: int | None, usable: bool, predicted: int | None = None) -> None:
        self._kept.append(Kept(window, label, usable, predicted=predicted))
        self._rows.append(_row(self._kept[-1]))

    def find(self, window: int) -> Kept | None:
        return next((kept for kept in reversed(self._kept) if kept.id == window), None)

    def label(self, window: int, label: int) -> None:
        """A label that came late, and that the wearable's ring has by now. The first one stays."""
        self._replace(
            replace(kept, label=label) if kept.id == window and kept.label is None else kept for kept in self._kept
        )

    def forget(self) -> None:
        """The wearable has started anew, with an empty ring."""
        self._kept.clear()
        self._rows.clear()

    def mark_trained(self, windows: Iterable[int]) -> None:
        """After a commit."""
        chosen = set(windows)
        self._replace(replace(kept, trained=True) if kept.id in chosen else kept for kept in self._kept)

    def labels(self, windows: Iterable[int]) -> list[int]:
        known = {kept.id: kept.label for kept in self._kept if kept.label is not None}
        return [known[window] for window in windows]

    def labelled(self, when: Callable[[Kept], bool] = lambda kept: True) -> list[Kept]:
        """Usable windows with a label, oldest first."""
        return [kept for kept in self._kept if kept.usable and kept.label is not None and when(kept)]

    def usable(self) -> list[Kept]:
        """With a label or without, oldest first."""
        return [kept for kept in self._kept if kept.usable]

    def _replace(self, kept: Iterable[Kept]) -> None:
        self._kept = deque(kept, self.capacity)
        self._rows = deque(map(_row, self._kept), self.capacity)

    def snapshot(self) -> list[list[int]]:
        return list(self._rows)

    def restore(self, snapshot: list[list[int]]) -> None:
        self._replace(
            (
                Kept(w, None if label < 0 else label, bool(usable), bool(trained), None if said < 0 else said)
                for w, label, usable, trained, said in snapshot
            )
        )


def _row(kept: Kept) -> list[int]:
    label, predicted = (-1 if value is None else value for value in (kept.label, kept.predicted))
    return [kept.id, label, int(kept.usable), int(kept.trained), predicted]
