"""Numbers that came in any order, as ranges."""

from __future__ import annotations

from collections.abc import Collection

#: (boot, first, last), both included: what `schemas.stored.SeqRange` says, without the cost of checking it.
Range = tuple[int, int, int]


def as_ranges(numbers: Collection[tuple[int, int]]) -> list[Range]:
    """(boot, seq) pairs as the fewest ranges, in order."""
    ranges: list[Range] = []
    if not numbers:
        return ranges
    ordered = sorted(set(numbers))
    boot, first = ordered[0]
    last = first - 1
    for of, seq in ordered:
        if of != boot or seq != last + 1:
            ranges.append((boot, first, last))
            boot, first = of, seq
        last = seq
    ranges.append((boot, first, last))
    return ranges
