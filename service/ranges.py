"""Numbers that came in any order, as ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.stored import SeqRange


def as_ranges(numbers: Iterable[tuple[int, int]]) -> Iterator[SeqRange]:
    """(boot, seq) pairs as the fewest ranges, in order."""
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    for boot, seq in sorted(set(numbers)):
        if first is not None and last is not None:
            if (boot, seq) == (last[0], last[1] + 1):
                last = (boot, seq)
                continue
            yield SeqRange(boot=first[0], first=first[1], last=last[1])
        first = last = (boot, seq)
    if first is not None and last is not None:
        yield SeqRange(boot=first[0], first=first[1], last=last[1])
