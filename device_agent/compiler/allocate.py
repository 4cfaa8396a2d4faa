"""Gives every storage its offset: one arena that all programs share, and the scalar slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from device_agent.compiler.ir import Program, Storage
from device_agent.compiler.memory.exact import search
from device_agent.compiler.memory.problem import Buffer, Problem
from device_agent.compiler.memory.solver import solve
from device_agent.compiler.memory.validator import validate
from device_agent.compiler.place import L1_BYTES, place_in_l1, put_aside, take_back
from device_agent.compiler.schedule import lifetimes
from schemas.plan import Region


@dataclass(frozen=True, slots=True)
class Arena:
    """`bytes` is the largest of the programs' arenas, `lower_bound` the largest live set of any of them."""

    bytes: int
    lower_bound: int
    problem: Problem[Storage]
    """Of the training program: what the timeline picture shows."""
    labels: dict[Storage, str]
    """What lies in each of its storages, one after the other."""
    l1_bytes: int
    l1: Problem[Storage]
    """Of the training program: what lies in L1."""
    l3_bytes: int
    proven: bool = True
    """No smaller arena is possible: it is the lower bound, or an exact search has tried everything."""

    def together(self) -> tuple[Problem[Storage], dict[Storage, int]]:
        """Both levels over a training step, L1 above the arena."""
        offsets = {buffer.key: buffer.key.offset or 0 for buffer in self.problem.buffers}
        offsets |= {buffer.key: self.bytes + (buffer.key.offset or 0) for buffer in self.l1.buffers}
        return Problem((*self.problem.buffers, *self.l1.buffers)), offsets


def allocate_arena(
    programs: list[Program],
    input_storage: Storage,
    batch: Storage | None = None,
    l1: int = L1_BYTES,
    both: int | None = None,
    aside: int = 0,
    placed: Callable[[], None] = lambda: None,
) -> Arena:
    """The programs run one after another, so they share the arena; the input window lies at its start in all.

    `both`: bytes that L1 and L2 may take together, where parts of what lies in L2 are worked on in L1 already.
    `l1`: bytes of it that may be filled. `aside`: so many bytes, and more, go from L2 to L3.
    `placed` is told when every storage has its level.
    With a `batch` of inputs that one lies at the start, and stays while windows are prepared for it (`programs[0]`).
    """
    input_storage.offset = 0
    if batch is not None:
        batch.offset, input_storage.offset = 0, batch.bytes
    arenas, proven = [], True
    before = frozenset({input_storage} if batch is None else {input_storage, batch})
    if l1:
        place_in_l1(programs, before, l1, both, preparing_problem(programs[0], before, batch).lower_bound())
    l1_bytes = max(_offsets(lifetimes(program, Region.L1))[0] for program in programs)
    if both is None and l1_bytes > max(lifetimes(program, Region.L1).lower_bound() for program in programs):
        take_back(programs)  # it was counted on that everything finds a place
        l1_bytes = 0
    if aside:
        put_aside(programs, before, aside)
    placed()
    l3_bytes = max(_offsets(lifetimes(program, Region.L3))[0] for program in programs)
    for program in programs:
        problem = lifetimes(program, Region.ARENA, before)
        if program is programs[0]:
            problem = preparing_problem(program, before, batch)
        size, optimal = _offsets(problem)
        proven = proven and optimal
        fast = lifetimes(program, Region.L1)
        arenas.append(Arena(size, problem.lower_bound(), problem, _labels(program), l1_bytes, fast, l3_bytes))
    biggest = max(arenas, key=lambda arena: arena.bytes)
    bound = max(arena.lower_bound for arena in arenas)
    return replace(arenas[-1], bytes=biggest.bytes, lower_bound=bound, proven=proven or biggest.bytes == bound)


def preparing_problem(program: Program, before: frozenset[Storage], batch: Storage | None) -> Problem[Storage]:
    """Of the program that prepares a window: those of a batch that were prepared before it lie there as well."""
    problem = lifetimes(program, Region.ARENA, before)
    if batch is None:
        return problem
    held = Buffer(batch, "inputs of the batch", batch.bytes, 0, len(program.ops) + 1, 0)
    return Problem((held, *problem.buffers))


def _offsets(problem: Problem[Storage]) -> tuple[int, bool]:
    """Gives every storage of it its place; returns the bytes that they take, and whether it cannot be less."""
    offsets, size = solve(problem)
    proven = size <= problem.lower_bound()
    if not proven:
        better, proven = search(problem, size)
        if better is not None:
            offsets, size = better, max(better[buffer.key] + buffer.bytes for buffer in problem.buffers)
    validate(problem, offsets, size)
    for storage, offset in offsets.items():
        storage.offset = offset
    return size, proven


def _labels(program: Program) -> dict[Storage, str]:
    """Names of the values of a storage, in order; what is seen in another shape has one name."""
    names: dict[Storage, list[str]] = {}
    for op in program:
        for value in op.outputs:
            found = names.setdefault(value.storage, [])
            if value.name not in found:
                found.append(value.name)
    return {storage: ", ".join(found[:3]) + (", …" if len(found) > 3 else "") for storage, found in names.items()}


def allocate_slots(programs: list[Program], region: Region) -> int:
    """One after another, without reuse: for scalars, whose values may be read after a run. Returns the bytes."""
    at = 0
    for storage in _slots(programs, region):
        storage.offset = at
        at += storage.bytes
    return at


def slot_bytes(programs: list[Program], region: Region) -> int:
    """Bytes of weights, gradients or momentum: what lives there lives for ever, and nothing is shared."""
    return sum(storage.bytes for storage in _slots(programs, region))


def _slots(programs: list[Program], region: Region) -> dict[Storage, None]:
    return dict.fromkeys(
        value.storage
        for program in programs
        for op in program
        for value in (*op.inputs, *op.outputs)
        if value.storage.region is region
    )
