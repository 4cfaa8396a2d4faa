"""How many bytes the operations of a program read and write, each operand counted once for each run of an operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from device_agent.compiler.ir import END_LOOP, LOOP, Op, Program, Storage
from schemas.plan import Region

#: What the DMA moves, and waits for it.
COPIES = ("copy", "copy_start", "copy_ahead", "copy_wait")


def runs(program: Program) -> Iterator[tuple[Op, int]]:
    """Operations, and how often each runs for one window."""
    times = [1]
    for op in program:
        if op.kind == LOOP:
            times.append(times[-1] * (1 if op.attributes["windows"] else int(op.attributes["rounds"])))
        elif op.kind == END_LOOP:
            times.pop()
        else:
            yield op, times[-1]


def storage_traffic(program: Program) -> Counter[Storage]:
    """Bytes of each storage that are read or written for one window."""
    found: Counter[Storage] = Counter()
    for op, times in runs(program):
        if op.kind in COPIES:
            continue
        copied = op.operand("x") if op.kind.startswith("staged_") else None
        for value in op.operands:
            if value is not None and value is not copied:
                found[value.storage] += times * value.bytes
    return found


def region_traffic(program: Program) -> Counter[Region]:
    """Of each memory level: everything but L1 and L3 lies in L2."""
    found: Counter[Region] = Counter()
    for storage, count in storage_traffic(program).items():
        found[storage.region if storage.region in (Region.L1, Region.L3) else Region.ARENA] += count
    return found
