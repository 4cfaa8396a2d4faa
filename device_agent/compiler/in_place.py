"""Lets operations write over inputs that nobody reads again."""

from __future__ import annotations

from device_agent.compiler.ir import RESHAPE, Program, Storage, Value
from schemas.plan import Region
from schemas.plan_operations import OPERATIONS


def share_storage(program: Program, keep: frozenset[Storage] = frozenset()) -> Program:
    """Merges the storage of an output with that of its input where the operation allows it and the input dies there.

    `keep` names storage that must survive the program.
    """
    last = _last_uses(program)
    pinned = {value.storage for value in program.pinned} | keep
    values = {value for op in program for value in (*op.inputs, *op.outputs)}
    for at, op in enumerate(program):
        pair = OPERATIONS[op.kind].in_place if op.kind != RESHAPE else None
        if pair is None:
            continue
        source, target = (op.operand(name) for name in pair)
        old, new = source.storage, target.storage
        mergeable = old.region is new.region is Region.ARENA and old is not new and old.bytes == new.bytes
        if mergeable and last[old] == at and old not in pinned:
            _replace(values, new, old)
            last[old] = last[new]
            if new in pinned:
                pinned.add(old)
    return program


def _last_uses(program: Program) -> dict[Storage, int]:
    return {value.storage: at for at, op in enumerate(program) for value in (*op.inputs, *op.outputs)}


def _replace(values: set[Value], old: Storage, new: Storage) -> None:
    for value in values:
        if value.storage is old:
            value.storage = new
