"""What training keeps and computes again, layer by layer: for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_agent.compiler.allocate import Arena
from device_agent.compiler.gap9 import CYCLES_PER_INSTRUCTION
from device_agent.compiler.ir import END_LOOP, LOOP, RESHAPE, Graph, Program
from device_agent.compiler.macs import count_op
from device_agent.compiler.stream.choice import Choice
from device_agent.compiler.traffic import runs
from schemas.plan import Region


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation of the user's network."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    """Forward, of one window."""
    runs: str
    """Whole, or in parts of the channels; and whether it is computed again."""
    bytes: int
    """Of its whole output, in float32."""
    kept_bytes: int
    """Of it, from the forward to the backward pass; 0 where it is not kept."""
    recomputed_macs: int
    l1_tile: tuple[int, ...]
    """What of the output lies in L1 at a time; () where none does, or where it is never stored."""
    cycles: int
    """Modelled, of a training window: forward, again and backward; data in L1. Of operations that run fused with others
    or share a name, where the first of them stands."""


def describe_layers(
    graph: Graph,
    train: Program,
    arena: Arena,
    streams: Sequence[tuple[tuple[int, ...], Choice]],
    instructions: Mapping[str, float],
) -> tuple[Layer, ...]:
    """`arena`: of the training program. `instructions` of a training window, one after the other, by layer."""
    tiles, computed = _tiles(train), _computed(train)
    left = {name: round(count * CYCLES_PER_INSTRUCTION) for name, count in instructions.items()}
    loss = next(at for at, op in enumerate(train.ops) if op.kind.endswith("cross_entropy"))
    written = {value.storage: value.name for op in train.ops[:loss] for value in op.outputs}
    kept = {
        written[buffer.key]: buffer.bytes
        for buffer in (*arena.problem.buffers, *arena.l1.buffers)
        if buffer.start < loss < buffer.end - 1 and buffer.key in written
    }
    rounds = {at: choice.rounds for indices, choice in streams for at in indices}
    forward, again = _times(train, loss)
    layers = []
    for at, op in enumerate(graph.ops):
        if op.kind == RESHAPE:
            continue
        y = op.operand("y")
        how = f"{rounds[at]} parts" if rounds.get(at, 1) > 1 else "whole"
        times = again.get((op.layer, op.kind), 0) + max(forward.get((op.layer, op.kind), 1) - 1, 0)
        how += f", {times} × again" if times and count_op(op) else ""
        parameters = sum(value.bytes // 4 for value in op.inputs if value.storage.region.name == "WEIGHTS")
        kind = op.kind.removesuffix("_forward")
        macs = count_op(op)
        layers.append(
            Layer(
                op.layer, kind, y.shape, parameters, macs, how, 4 * math.prod(y.shape), kept.get(y.name, 0),
                max(0, computed.get((op.layer, op.kind), macs) - macs), tiles.get(y.name, ()), left.pop(op.layer, 0),
            )
        )  # fmt: skip
    return (*layers, *(Layer(name, "", (), 0, 0, "", 0, 0, 0, (), spent) for name, spent in left.items()))


def _tiles(train: Program) -> dict[str, tuple[int, ...]]:
    """Shapes of what lies in L1, by name."""
    return {v.name: v.shape for op in train for v in op.operands if v is not None and v.storage.region is Region.L1}


def _computed(train: Program) -> dict[tuple[str, str], int]:
    """Multiply-accumulates of each layer's operations, every run counted."""
    found: dict[tuple[str, str], int] = {}
    for op, times in runs(train):
        found[op.layer, op.kind] = found.get((op.layer, op.kind), 0) + times * count_op(op)
    return found


def _times(train: Program, loss: int) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """How often each operation of a layer stands before, and behind, the loss."""
    before: dict[tuple[str, str], int] = {}
    behind: dict[tuple[str, str], int] = {}
    for at, op in enumerate(train):
        if op.kind in (LOOP, END_LOOP):
            continue
        found = before if at < loss else behind
        found[op.layer, op.kind] = found.get((op.layer, op.kind), 0) + 1
    return before, behind
