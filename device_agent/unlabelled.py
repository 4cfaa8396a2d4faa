"""What was predicted of windows whose label has not come yet: so that a late label can be compared, once."""

from __future__ import annotations

from dataclasses import astuple, dataclass

_MOST = 1000
"""Windows to wait for; the oldest are given up. They are written with every message."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of a window whose label may still come."""

    window_id: int
    predicted: int
    frozen: int | None
    """What the copy that never adapts said."""
    after_commit: bool
    """Made when some commit had been."""
    faulty: bool
    weights_version: int


class Unlabelled:
    """At most `most` predictions, by window."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._known: dict[int, Prediction] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, prediction: Prediction) -> None:
        self._known[prediction.window_id] = prediction
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]

    def take(self, window: int) -> Prediction | None:
        """The prediction, once: a label that is told again finds nothing."""
        return self._known.pop(window, None)

    def snapshot(self) -> list[list[int]]:
        return [[-1 if value is None else int(value) for value in astuple(known)] for known in self._known.values()]

    def restore(self, snapshot: list[list[int]]) -> None:
        self._known.clear()
        for window, predicted, frozen, after_commit, faulty, version in snapshot:
            self.add(
                Prediction(window, predicted, None if frozen < 0 else frozen, bool(after_commit), bool(faulty), version)
            )
