"""Graph and choices -> the programs of a plan, without offsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_agent.compiler.batch import tracking, widen
from device_agent.compiler.differentiate import Streams, inference, training, update
from device_agent.compiler.fuse import drop_idle_loops, fuse
from device_agent.compiler.in_place import reuse_parts, reuse_rounds, share_storage
from device_agent.compiler.ir import Graph, Program, Value, print_ops
from device_agent.compiler.narrow import Counts, narrow_input, narrow_kept
from device_agent.compiler.schedule import drop_views
from device_agent.compiler.training_options import Loss, Optimizer


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be trained, and how: everything that the choices of the planner do not touch."""

    graph: Graph
    loss: Loss
    class_weights: Value | None
    optimizer: Optimizer
    batch: int
    together: bool
    """Batch norms are exact: the training program runs over all windows of a batch."""
    fused: bool = True
    """Rows of norm, activation and pool become one operation."""
    bf16: bool = False
    """Activations are kept for the backward pass in bf16."""
    round_all: bool = False
    """Also where that frees nothing."""
    wide: frozenset[str] = frozenset()
    """Names of those that stay float32 all the same."""
    counts: Counts | None = None
    """Where the input window lies as int16."""

    @property
    def input(self) -> Value:
        """What preprocessing leaves behind."""
        return self.counts.whole if self.counts else self.graph.input


@dataclass(frozen=True, slots=True)
class Programs:
    """What a plan has the device do for a window (`infer`, `train`) and for a step (`update`)."""

    infer: Program
    train: Program
    update: Program
    loss: Value
    inputs: Value | None
    """Of all windows of a batch, where they are trained on together."""
    narrowed: tuple[str, ...] = ()
    """Whose values are kept in bf16."""


def assemble(task: Task, streams: Streams, watch: Callable[[str, str], None] | None = None) -> Programs:
    """`watch` gets a pass's name and the training program behind it."""
    graph = task.graph

    def show(name: str) -> None:
        if watch is not None:
            watch(name, print_ops(learning.ops))

    inputs = Value.new("inputs of the batch", graph.input.shape) if task.together else None
    held = task.counts
    inferring = drop_views(inference(graph, streams))
    learning, loss = training(graph, task.loss, task.class_weights, inputs, streams)
    show("differentiate")
    drop_views(learning)
    if task.fused:
        for program in (inferring, learning):
            fuse(program)
    show("fuse")
    updating = update(graph, task.optimizer)
    narrowed = narrow_kept(learning, task.wide) if task.bf16 else ()
    if task.fused:
        for program in (inferring, learning):
            drop_idle_loops(program)
    if held is not None:
        narrow_input(inferring, graph.input, held)
        if inputs is not None:
            held = Counts.like(inputs)
        narrow_input(learning, inputs or graph.input, held)
        inputs = held.whole if inputs else None
    show("narrow")
    if inputs is not None:
        widen(learning, task.batch, frozenset({inputs.storage, loss.storage}))
        updating.ops += tracking(graph.ops, learning)
    for program in (inferring, learning):
        reuse_rounds(reuse_parts(share_storage(program)))
    show("schedule")
    return Programs(inferring, learning, updating, loss, inputs, narrowed)
