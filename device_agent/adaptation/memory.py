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

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, window: int, label: int | None, usable: bool, predicted: int | None = None) -> None:
        self._kept.append(Kept(window, label, usable, predicted=predicted))

    def find(self, window: int) -> Kept | None:
        return next((kept for kept in reversed(self._kept) if kept.id == window), None)

    def label(self, window: int, label: int) -> None:
        """A label that came late, and that the wearable's ring has by now. The first one stays."""
        self._kept = deque(
            (replace(kept, label=label) if kept.id == window and kept.label is None else kept for kept in self._kept),
            self.capacity,
        )

    def forget(self) -> None:
        """The wearable has started anew, with an empty ring."""
        self._kept.clear()

    def mark_trained(self, windows: Iterable[int]) -> None:
        """After a commit."""
        chosen = set(windows)
        self._kept = deque(
            (replace(kept, trained=True) if kept.id in chosen else kept for kept in self._kept), self.capacity
        )

    def labels(self, windows: Iterable[int]) -> list[int]:
        known = {kept.id: kept.label for kept in self._kept if kept.label is not None}
        return [known[window] for window in windows]

    def labelled(self, when: Callable[[Kept], bool] = lambda kept: True) -> list[Kept]:
        """Usable windows with a label, oldest first."""
        return [kept for kept in self._kept if kept.usable and kept.label is not None and when(kept)]

    def snapshot(self) -> list[list[int]]:
        return [
            [
                kept.id,
                -1 if kept.label is None else kept.label,
                int(kept.usable),
                int(kept.trained),
                -1 if kept.predicted is None else kept.predicted,
            ]
            for kept in self._kept
        ]

    def restore(self, snapshot: list[list[int]]) -> None:
        self._kept = deque(
            (
                Kept(w, None if label < 0 else label, bool(usable), bool(trained), None if said < 0 else said)
                for w, label, usable, trained, said in snapshot
            ),
            self.capacity,
        )
