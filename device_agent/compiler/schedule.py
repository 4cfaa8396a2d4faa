"""Order of execution and lifetimes. The order is that of the passes before; lifetimes follow from it."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Program, Storage, find_loops
from device_agent.compiler.memory.problem import Buffer, Problem
from schemas.plan import Region


def drop_views(program: Program) -> Program:
    """Views share memory with what they show: nothing is left to run."""
    program.ops = [op for op in program.ops if op.kind != RESHAPE]
    return program


def lifetimes(program: Program, region: Region, live_before: frozenset[Storage] = frozenset()) -> Problem[Storage]:
    """When each storage of a region is first written and last read; half-open, one step an operation.

    `live_before` is filled before the program begins (the input window). What a loop finds or leaves for later lives
    through all of its rounds.
    """
    uses: dict[Storage, list[int]] = {}
    names: dict[Storage, str] = {}
    found_by_reading: set[tuple[Storage, int]] = set()
    for at, op in enumerate(program):
        for value in op.inputs:
            if value.storage.region is region:
                found_by_reading.add((value.storage, at))
        for value in (*op.inputs, *op.outputs):
            if value.storage.region is region:
                names.setdefault(value.storage, value.name)
                uses.setdefault(value.storage, []).append(at)
    for value in program.pinned:
        if value.storage.region is region:
            uses[value.storage].append(len(program.ops))
    for storage in live_before:
        if storage in uses:
            uses[storage].insert(0, 0)
    spans = find_loops(program.ops)
    buffers = []
    for storage, used in uses.items():
        first, last = used[0], used[-1]
        for loop in spans:
            inside = [use for use in used if use in loop]
            if inside and (first < loop.start or last > loop.end or (storage, inside[0]) in found_by_reading):
                first, last = min(first, loop.start), max(last, loop.end)
        buffers.append(Buffer(storage, names[storage], storage.bytes, first, last + 1, storage.offset))
    return Problem(tuple(buffers))
