"""Few labels: each of them both teaches and judges, in turn: fits on all parts but one, asked about that one."""

from __future__ import annotations

from collections.abc import Sequence


def folds(labels: Sequence[int], count: int) -> list[list[int]]:
    """`count` parts of the windows 0, 1, ...; each class is dealt out in recorded order, so that every part has about
    as many of each. Raises ValueError where a part would stay empty."""
    if not 2 <= count <= len(labels):
        raise ValueError(f"{len(labels)} windows cannot be dealt out to {count} parts")
    parts: list[list[int]] = [[] for _ in range(count)]
    dealt = 0
    for label in sorted(set(labels)):
        for window, found in enumerate(labels):
            if found == label:
                parts[dealt % count].append(window)
                dealt += 1
    return [sorted(part) for part in parts]


def blocks(windows: int, count: int, longest: int = 6) -> list[list[int]]:
    """Windows 0, 1, ... as `count` parts of short runs that take turns: neighbours, which are much alike, mostly stand
    together, and every part has something of the whole session."""
    length = max(min(longest, windows // (3 * count)), 1)
    parts: list[list[int]] = [[] for _ in range(count)]
    for window in range(windows):
        parts[window // length % count].append(window)
    return parts
