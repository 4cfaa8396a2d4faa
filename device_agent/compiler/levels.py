"""Levels of memory: what lies in L1 and what in L2, and whether parts of what lies in L2 come to L1 to be worked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from device_agent.compiler.allocate import Arena, allocate_arena
from device_agent.compiler.assemble import Programs, Task, assemble
from device_agent.compiler.copies import follow_copies
from device_agent.compiler.differentiate import Streams
from device_agent.compiler.gap9 import l2_stall_cycles
from device_agent.compiler.ir import Program, print_ops
from device_agent.compiler.place import L1_BYTES
from device_agent.compiler.schedule import lifetimes
from device_agent.compiler.staging.choice import Room, stage
from device_agent.compiler.traffic import region_traffic
from schemas.plan import Region


@dataclass(slots=True)
class Placed:
    """Programs with every buffer in its place, and their texts behind each pass."""

    programs: Programs
    arena: Arena
    staged: bool
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def waiting(self) -> float:
        """Cycles of a training window in which cores wait for L2 or for copies."""
        train = self.programs.train
        return l2_stall_cycles(region_traffic(train)[Region.ARENA]) + follow_copies(train).waited


def place_levels(
    task: Task,
    streams: Streams,
    preparing: Program,
    techniques: frozenset[str],
    most: int,
    aside: int,
    watch: Callable[[str, str], None],
) -> tuple[Programs, Arena]:
    """`most`: bytes that L1 and L2 may take together where parts come and go; without, they take what one arena would.
    `aside`: so many bytes of L2 go to L3.

    Parts come and go where cores then wait less."""
    chosen = _placed(task, streams, preparing, techniques, None, aside)
    if {"l1", "staging"} <= techniques:
        staged = _placed(task, streams, preparing, techniques, most, aside)
        taken = staged.arena.bytes + staged.arena.l1_bytes + staged.arena.l3_bytes
        fits = taken <= most and staged.arena.l1_bytes <= L1_BYTES
        if staged.staged and fits and staged.waiting < chosen.waiting:
            chosen = staged
    for name, text in chosen.texts.items():
        watch(name, text)
    return chosen.programs, chosen.arena


def _placed(
    task: Task, streams: Streams, preparing: Program, techniques: frozenset[str], most: int | None, aside: int
) -> Placed:
    """Without `most`, nothing is staged."""
    texts: dict[str, str] = {}
    programs = assemble(task, streams, texts.__setitem__)
    window = frozenset({task.input.storage})

    def show(name: str) -> None:
        texts[name] = print_ops(programs.train.ops)

    staged = False
    if most is not None:
        staged = stage(programs.train, window, Room(L1_BYTES, most))
        taken = lifetimes(programs.train, Region.L1).lower_bound()
        staged = stage(programs.infer, window, Room(taken, most)) or staged
    show("stage")
    arena = allocate_arena(
        [preparing, programs.infer, programs.train],
        task.input.storage,
        programs.inputs.storage if programs.inputs else None,
        L1_BYTES if "l1" in techniques else 0,
        most if staged else None,
        aside,
        lambda: show("place"),
    )
    return Placed(programs, arena, staged, texts)
