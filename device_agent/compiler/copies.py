"""What the DMA moves in a program, and how long cores wait for it: the program run through once, on paper.

Work takes what `instructions.py` estimates. Copies run one after the other, at eight bytes a cycle, beside the work.
"""

from __future__ import annotations

from dataclasses import dataclass

from device_agent.compiler.gap9 import CYCLES_PER_INSTRUCTION, DMA_BYTES_PER_CYCLE, MEETING_CYCLES
from device_agent.compiler.instructions import path
from device_agent.compiler.ir import LOOP, LoopSpan, Op, Program, find_loops


@dataclass(slots=True)
class Copies:
    """Of one run of a program; times in cycles."""

    bytes: int = 0
    waited: float = 0.0
    _now: float = 0.0
    _busy_until: float = 0.0

    def start(self, count: int) -> None:
        self.bytes += count
        self._busy_until = max(self._busy_until, self._now) + count / DMA_BYTES_PER_CYCLE

    def wait(self) -> None:
        self.waited += max(0.0, self._busy_until - self._now)
        self._now = max(self._now, self._busy_until)

    def work(self, cycles: float) -> None:
        self._now += cycles


def follow_copies(program: Program) -> Copies:
    """One run; of loops over the windows of a batch, one round."""
    copies, loops = Copies(), {loop.start: loop for loop in find_loops(program.ops)}
    _follow(program.ops, 0, len(program.ops), False, loops, copies)
    return copies


def _follow(ops: list[Op], at: int, end: int, last: bool, loops: dict[int, LoopSpan], copies: Copies) -> None:
    while at < end:
        op = ops[at]
        if op.kind == LOOP:
            loop = loops[at]
            rounds = 1 if loop.windows else loop.rounds
            for number in range(rounds):
                _follow(ops, at + 1, loop.end, number + 1 == rounds, loops, copies)
            at = loop.end + 1
            continue
        _step(op, last, copies)
        at += 1


def _step(op: Op, last: bool, copies: Copies) -> None:
    """`last`: it stands in the last round of its loop."""
    work = path(op) * CYCLES_PER_INSTRUCTION + MEETING_CYCLES
    if op.kind in ("copy_start", "copy") or (op.kind == "copy_ahead" and not last):
        copies.start(op.operand("source").bytes)
    if op.kind in ("copy_wait", "copy"):
        copies.wait()
    if op.kind.startswith("staged_"):
        x, stage = op.operand("x"), op.operand("stage")
        stretches = -(-2 * x.bytes // stage.bytes)
        copies.start(x.bytes // stretches)
        for number in range(stretches):
            copies.wait()
            if number + 1 < stretches:
                copies.start(x.bytes // stretches)
            copies.work(work / stretches)
    else:
        copies.work(work)
