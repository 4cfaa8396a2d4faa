"""Order of execution and lifetimes. The order is that of the passes before; lifetimes follow from it."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Program, Storage
from device_agent.compiler.memory.problem import Buffer, Problem
from schemas.plan import Region


def drop_views(program: Program) -> Program:
    """Views share memory with what they show: nothing is left to run."""
    program.ops = [op for op in program.ops if op.kind != RESHAPE]
    return program


def lifetimes(program: Program, region: Region, live_before: frozenset[Storage] = frozenset()) -> Problem[Storage]:
    """When each storage of a region is first written and last read; half-open, one step an operation.

    `live_before` is filled before the program begins (the input window).
    """
    first: dict[Storage, int] = {}
    last: dict[Storage, int] = {}
    names: dict[Storage, str] = {}
    for at, op in enumerate(program):
        for value in (*op.inputs, *op.outputs):
            storage = value.storage
            if storage.region is region:
                first.setdefault(storage, 0 if storage in live_before else at)
                names.setdefault(storage, value.name)
                last[storage] = at
    for value in program.pinned:
        if value.storage.region is region:
            last[value.storage] = len(program.ops)
    buffers = [Buffer(key, names[key], key.bytes, first[key], last[key] + 1, key.offset) for key in first]
    return Problem(tuple(buffers))
