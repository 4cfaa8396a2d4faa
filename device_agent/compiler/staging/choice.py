"""What comes to L1 part by part: first what saves most of the time that cores spend waiting for L2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_agent.compiler.ir import Op, Program, Storage
from device_agent.compiler.place import left_in_l2
from device_agent.compiler.schedule import lifetimes
from device_agent.compiler.staging.convolutions import in_stretches, lengths
from device_agent.compiler.staging.loop import Loop
from device_agent.compiler.staging.stretches import Stretch, cut, of_single_rounds, worth
from schemas.plan import Region

#: Room for what is small, beside parts.
_SMALL = 4_096


@dataclass(frozen=True, slots=True)
class Room:
    """How much of L1 may be filled, and how much both levels may take together."""

    l1_bytes: int
    both_bytes: int


def stage(program: Program, held: frozenset[Storage], room: Room) -> bool:
    """In place; whether anything is staged. `held` is filled or read from outside. What does not fit stays in L2."""
    if program.batch > 1:
        return False  # loops over windows stand around everything
    if lifetimes(program, Region.ARENA, held).lower_bound() <= room.l1_bytes:
        return False  # it can lie in L1 altogether (place.py)
    stretches = cut(program.ops)
    kept = held | {value.storage for value in program.pinned}

    def fits() -> bool:
        trial = Program(_assembled(stretches, kept), program.pinned)
        fast = lifetimes(trial, Region.L1).lower_bound()
        sizes = (size for size in (fast, fast + _SMALL) if size <= room.l1_bytes)
        return any(size + left_in_l2(trial, held, size) <= room.both_bytes for size in sizes)

    for stretch in stretches:
        for storage in of_single_rounds(stretch, stretches, kept):
            stretch.moved.add(storage)
            if not fits():
                stretch.moved.remove(storage)
    found = [(gain, stretch, storage) for stretch in stretches for storage, gain in worth(stretch, kept).items()]
    found.sort(key=lambda one: -one[0])
    for _, stretch, storage in found:
        stretch.staged[storage] = False
        if not fits():
            del stretch.staged[storage]
    for stretch in stretches:
        for op in stretch.body:
            for positions in lengths(op):
                stretch.stretched[op] = positions
                if fits():
                    break
                del stretch.stretched[op]
    for _, stretch, storage in found:
        if storage in stretch.staged:
            stretch.staged[storage] = True
            stretch.staged[storage] = fits()
    if not any(stretch.staged or stretch.stretched for stretch in stretches):
        return False
    program.ops = _assembled(stretches, kept)
    return True


def _assembled(stretches: Sequence[Stretch], kept: frozenset[Storage]) -> list[Op]:
    ops: list[Op] = []
    for at, stretch in enumerate(stretches):
        if stretch.rounds == 1:
            ops += [in_stretches(op, n) if (n := stretch.stretched.get(op)) else op for op in stretch.body]
        elif stretch.whole is not None and not stretch.staged and not stretch.stretched:
            ops += stretch.whole
        else:
            later = {v.storage for s in stretches[at + 1 :] for op in s.body for v in op.operands if v is not None}
            ops += Loop(stretch, later | kept).ops()
    return ops
