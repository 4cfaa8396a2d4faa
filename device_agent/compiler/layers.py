"""What training keeps and computes again, layer by layer: for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device_agent.compiler.allocate import Arena
from device_agent.compiler.ir import END_LOOP, LOOP, RESHAPE, Graph, Program
from device_agent.compiler.macs import count_op
from device_agent.compiler.stream.choice import Choice


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
    kept_bytes: int
    """Of its output, from the forward to the backward pass; 0 where it is not kept."""


def describe_layers(
    graph: Graph, train: Program, arena: Arena, streams: Sequence[tuple[tuple[int, ...], Choice]]
) -> tuple[Layer, ...]:
    """`arena`: of the training program."""
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
        layers.append(Layer(op.layer, kind, y.shape, parameters, count_op(op), how, kept.get(y.name, 0)))
    return tuple(layers)


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
