"""How many bytes the operands of a plan's program have: what would be copied to L1 and back if each came for one
instruction only."""

from __future__ import annotations

import math
import struct

from schemas.plan import VIEW_BYTES, Entry, read_view
from schemas.plan_operations import END, END_LOOP, LOOP, OPERATIONS

_HEADER_BYTES, _SECTION, _VIEWS, _CODE = 256, struct.Struct("<IIII"), 2, 4
_AT_SECTION_COUNT = 132
_NAMES = {operation.number: name for name, operation in OPERATIONS.items()}


def moved_bytes(plan: bytes, entry: Entry) -> int:
    """Of one run of an entry, with every round of its loops; copies between levels are left out."""
    sections = {}
    (count,) = struct.unpack_from("<I", plan, _AT_SECTION_COUNT)
    for index in range(count):
        kind, offset, length, _ = _SECTION.unpack_from(plan, _HEADER_BYTES + index * _SECTION.size)
        sections[kind] = plan[offset : offset + length]
    views, code = sections[_VIEWS], sections[_CODE + entry]
    found = (read_view(views, index) for index in range(len(views) // VIEW_BYTES))
    sizes = [view.type.bytes * math.prod(view.shape) for view in found]
    total, times, at = 0, [1], 0
    while True:
        (head,) = struct.unpack_from("<I", code, at)
        number, operands, immediates = head & 0xFF, head >> 8 & 0xFF, head >> 16 & 0xFF
        first = at + 4 + 4 * ((operands + 1) // 2)
        if number == END:
            return total
        if number == LOOP:
            times.append(times[-1] * struct.unpack_from("<I", code, first)[0])
        elif number == END_LOOP:
            times.pop()
        elif number in _NAMES and not _NAMES[number].startswith("copy"):
            named = struct.unpack_from(f"<{operands}H", code, at + 4)
            total += times[-1] * sum(sizes[view] for view in named if view < len(sizes))
        at = first + 4 * immediates
