"""Lets operations write over inputs that nobody reads again, and loops over what they have read part by part."""

from __future__ import annotations

from dataclasses import dataclass, field

from device_agent.compiler.ir import END_LOOP, LOOP, RESHAPE, LoopSpan, Program, Storage, Value, find_loops
from schemas.plan import Region
from schemas.plan_operations import OPERATIONS


@dataclass(slots=True)
class _Uses:
    """Where the values of a storage stand, in order."""

    at: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def inside(self, loop: LoopSpan) -> list[Value]:
        return [value for at, value in zip(self.at, self.values, strict=True) if at in loop]

    def joined(self, other: _Uses) -> _Uses:
        pairs = sorted(zip(self.at + other.at, self.values + other.values, strict=True), key=lambda pair: pair[0])
        return _Uses([at for at, _ in pairs], [value for _, value in pairs])


def share_storage(program: Program, keep: frozenset[Storage] = frozenset()) -> Program:
    """Merges the storage of an output with that of its input where the operation allows it and the input dies there.

    `keep` names storage that must survive the program.
    """
    uses, loops = _uses(program), find_loops(program.ops)
    pinned = {value.storage for value in program.pinned} | keep
    for at, op in enumerate(program):
        if op.kind in (RESHAPE, LOOP, END_LOOP):
            continue
        spec = OPERATIONS[op.kind]
        for pair in (spec.in_place, spec.also_in_place):
            if pair is None:
                continue
            first, second = (op.optional(name) for name in pair)
            if first is None or second is None:
                continue
            old, new = first.storage, second.storage
            others = [v for n, v in zip(spec.operands, op.operands, strict=True) if n not in pair and v is not None]
            if any(value.storage is old for value in others):
                continue
            if _mergeable(old, new, pinned) and uses[old].at[-1] == at == uses[new].at[0]:
                enclosing = [loop for loop in loops if at in loop]
                if all(_takes_turns(uses[old], uses[new], loop) for loop in enclosing):
                    _merge(uses, pinned, old, new)
                    break
    return program


def reuse_rounds(program: Program) -> Program:
    """What lives in single rounds of a loop goes where its input lay, whose part nobody reads again."""
    uses, loops = _uses(program), find_loops(program.ops)
    pinned = {value.storage for value in program.pinned}
    for at, op in enumerate(program):
        if op.kind in (RESHAPE, LOOP, END_LOOP):
            continue
        spec = OPERATIONS[op.kind]
        for pair in (spec.in_place, spec.also_in_place):
            if pair is None:
                continue
            first, second = (op.optional(name) for name in pair)
            if first is None or second is None or not _goes_into_part(first, second, at, uses, loops, pinned):
                continue
            old, new = first.storage, second.storage
            for value in uses[new].values:
                value.storage, value.step = old, first.step
            uses[old] = uses[old].joined(uses.pop(new))
            break
    return program


def _goes_into_part(
    first: Value, second: Value, at: int, uses: dict[Storage, _Uses], loops: list[LoopSpan], pinned: set[Storage]
) -> bool:
    old, new = first.storage, second.storage
    around = [loop for loop in loops if at in loop]
    if len(around) != 1 or around[0].windows or not first.step or second.step or second.bytes != new.bytes:
        return False
    if not old.region is new.region is Region.ARENA or old in pinned or new in pinned or first.bytes != new.bytes:
        return False
    if uses[old].at[-1] != at or uses[new].at[0] != at or uses[new].at[-1] not in around[0]:
        return False
    return all(value.step == first.step and value.bytes == first.bytes for value in uses[old].inside(around[0]))


def reuse_parts(program: Program) -> Program:
    """In a loop whose rounds each read their part of one storage for the last time and then write theirs of another."""
    uses = {storage: use for storage, use in _uses(program).items() if storage.region is Region.ARENA}
    pinned = {value.storage for value in program.pinned}
    loops = find_loops(program.ops)
    for loop in loops:
        ending = [s for s, u in uses.items() if u.at[0] < loop.start < u.at[-1] < loop.end]
        starting = [s for s, u in uses.items() if loop.start < u.at[0] < loop.end < u.at[-1]]
        for new in sorted(starting, key=lambda storage: -storage.bytes):
            for old in ending:
                if old not in uses or not _mergeable(old, new, pinned) or uses[old].at[-1] >= uses[new].at[0]:
                    continue
                both = [span for span in loops if uses[old].at[-1] in span and uses[new].at[0] in span]
                if all(_takes_turns(uses[old], uses[new], around) for around in both):
                    _merge(uses, pinned, old, new)
                    break
    return program


def _uses(program: Program) -> dict[Storage, _Uses]:
    uses: dict[Storage, _Uses] = {}
    for at, op in enumerate(program):
        for value in (*op.inputs, *op.outputs):
            entry = uses.setdefault(value.storage, _Uses())
            entry.at.append(at)
            entry.values.append(value)
    return uses


def _mergeable(old: Storage, new: Storage, pinned: set[Storage] | frozenset[Storage]) -> bool:
    return (
        old.region is new.region is Region.ARENA
        and old is not new
        and old.bytes == new.bytes
        and old.windows == new.windows
        and old not in pinned
    )


def _takes_turns(old: _Uses, new: _Uses, loop: LoopSpan) -> bool:
    """Both live within one round; or each round reads its part of one before it writes the same part of the other."""
    if old.at[0] in loop and new.at[-1] in loop:
        return True
    if old.at[0] > loop.start or new.at[-1] < loop.end:
        return False
    strides = {(loop.stride(value), value.bytes) for value in old.inside(loop) + new.inside(loop)}
    return len(strides) == 1 and 0 not in strides.pop()


def _merge(uses: dict[Storage, _Uses], pinned: set[Storage] | frozenset[Storage], old: Storage, new: Storage) -> None:
    """`new` becomes `old`."""
    for value in uses[new].values:
        value.storage = old
    uses[old] = uses[old].joined(uses.pop(new))
    if new in pinned and isinstance(pinned, set):
        pinned.add(old)
