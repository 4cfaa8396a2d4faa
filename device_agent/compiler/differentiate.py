"""Forward graph -> the programs of a plan: inference, one training window, one optimiser step."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from device_agent.compiler.batch import exact_norms
from device_agent.compiler.errors import CompileError
from device_agent.compiler.ir import RESHAPE, Graph, Number, Op, Parameter, Program, Storage, Value
from device_agent.compiler.operators import BACKWARD
from device_agent.compiler.operators.base import Backward, scalars
from device_agent.compiler.stream.again import Recomputation
from device_agent.compiler.stream.backward import StreamedBackward
from device_agent.compiler.stream.chains import Chain
from device_agent.compiler.stream.choice import Choice
from device_agent.compiler.stream.forward import Streamed
from device_agent.compiler.training_options import Loss, Mode, Optimizer
from schemas.plan import Region

#: Chains of the graph, by the indices of their operations, and what was chosen for each.
Streams = Sequence[tuple[tuple[int, ...], Choice]]

__all__ = ["Mode", "choose_trained", "inference", "training", "update"]


def choose_trained(graph: Graph, mode: Mode | Sequence[str]) -> None:
    """Marks the parameters of `mode` as trained, and gives every parameter its place: trained ones first."""
    chosen = {parameter.value.storage for parameter in graph.parameters if parameter.trained}
    if not isinstance(mode, Mode):
        chosen &= _named(graph.parameters, mode)
    elif mode is Mode.LAST_LAYER:
        last = [op for op in graph.ops if op.kind == "linear_forward"]
        if not last:
            raise CompileError("mode last-layer needs a model with a linear layer: this one has none")
        chosen &= {value.storage for value in last[-1].inputs}
    elif mode is Mode.NORM_ONLY:
        chosen &= {value.storage for op in graph.ops if "_norm_" in op.kind for value in op.inputs}
    elif mode is Mode.BIAS_ONLY:
        chosen &= {parameter.value.storage for parameter in graph.parameters if parameter.name.endswith("bias")}
    for parameter in graph.parameters:
        parameter.trained = parameter.value.storage in chosen
    if not any(parameter.trained for parameter in graph.parameters):
        raise CompileError(f"mode {describe(mode)} leaves nothing to train in this model")
    graph.parameters.sort(key=lambda parameter: not parameter.trained)
    offset = 0
    for parameter in graph.parameters:
        parameter.value.storage.offset = offset
        if parameter.trained:
            parameter.gradient = Value.new(
                f"d_{parameter.name}", parameter.value.shape, Region.GRADIENTS, parameter.value.storage.offset
            )
        offset += parameter.value.storage.bytes


def describe(mode: Mode | Sequence[str]) -> str:
    """The mode's name, or the names of the parameters that are trained."""
    return str(mode) if isinstance(mode, Mode) else ",".join(mode)


def _named(parameters: list[Parameter], patterns: Sequence[str]) -> set[Storage]:
    """Raises CompileError for a pattern that no trainable parameter has."""
    chosen = set()
    for pattern in patterns:
        found = {p.value.storage for p in parameters if p.trained and fnmatchcase(p.name, pattern)}
        if not found:
            names = ", ".join(p.name for p in parameters if p.trained)
            raise CompileError(f"no parameter that can be trained is called {pattern!r}: there are {names}")
        chosen |= found
    return chosen


def inference(graph: Graph, streams: Streams = ()) -> Program:
    """The forward pass alone; dropout is the identity."""
    ops, seen = _copy(graph, skip_dropout=True)
    pinned = [seen[graph.output]] + ([seen[graph.features]] if graph.features else [])
    forward = [
        op for step in _steps(ops, streams) for op in (step.forward(False) if isinstance(step, Streamed) else [step])
    ]
    return Program(forward, tuple(pinned))


def training(
    graph: Graph,
    loss_of: Loss,
    class_weights: Value | None,
    batch_input: Value | None = None,
    streams: Streams = (),
) -> tuple[Program, Value]:
    """Forward, loss and backward of one window; gradients are added to the accumulators. Also returns the loss.

    With `batch_input`, of a window of a batch, whose inputs lie there: batch norms become exact.
    """
    ops, seen = _copy(graph, skip_dropout=False, own_input=batch_input)
    if batch_input is not None:
        ops = exact_norms(ops)
    logits, loss = seen[graph.output], scalars("loss", 1 if loss_of.plain else 2)
    backward = Backward(
        parameter_gradients={p.value: p.gradient for p in graph.parameters if p.gradient is not None},
        wanted=_wanted(ops, graph.parameters),
    )
    steps = _steps(ops, streams)
    forward = [op for step in steps for op in (step.forward(True) if isinstance(step, Streamed) else [step])]
    end = Op("cross_entropy", (None, None, None), {}, "loss")  # whose layer the operations have
    if loss_of.plain:
        backward.emit("cross_entropy", logits, loss, backward.new(logits), of=end)
    else:
        smoothing = {"smoothing": loss_of.label_smoothing}
        operands = (logits, class_weights, loss, backward.new(logits))
        backward.emit("smoothed_cross_entropy", *operands, of=end, attributes=smoothing)
    backward.settle(end)
    recomputation = Recomputation(steps)
    done = recomputation.insert(backward.ops)
    for step in reversed(steps):
        backward.ops = []
        behind = step.chain.ops if isinstance(step, Streamed) else (step,)
        known = any(value in backward.gradients for value in behind[-1].outputs)
        if not known or not any(_reaches_trained(op, backward) for op in behind):
            continue
        if isinstance(step, Streamed):
            kept = {i: step.chain.values[i] for i in (0, *sorted(step.choice.kept))}
            StreamedBackward(step, backward, kept).emit()
        else:
            BACKWARD[step.kind](step, backward)
        backward.settle(behind[0])
        done += recomputation.insert(backward.ops)
    return Program(forward + done, ()), loss


def _steps(ops: list[Op], streams: Streams) -> list[Op | Streamed]:
    """The operations, and chains of them in the place of their last one."""
    inside = {at for indices, _ in streams for at in indices}
    chains = {indices[-1]: Streamed(Chain(tuple(ops[at] for at in indices)), choice) for indices, choice in streams}
    return [chains.get(at, op) for at, op in enumerate(ops) if at in chains or at not in inside]


def update(graph: Graph, optimizer: Optimizer) -> Program:
    """One step over all trained weights, which lie side by side."""
    count = sum(parameter.value.storage.bytes for parameter in graph.parameters if parameter.trained) // 4
    weights = Value.new("trained weights", (count,), Region.WEIGHTS, 0)
    gradients = Value.new("gradients", (count,), Region.GRADIENTS, 0)
    first = Value.new("momentum", (count,), Region.OPTIMIZER, 0)
    if optimizer is Optimizer.SGD:
        return Program([Op("sgd", (weights, gradients, first), {}, "optimiser")], ())
    second = Value.new("second moment", (count,), Region.OPTIMIZER, 4 * count)
    decoupled: dict[str, Number] = {"decoupled": int(optimizer is Optimizer.ADAMW)}
    return Program([Op("adam", (weights, gradients, first, second), decoupled, "optimiser")], ())


def _wanted(ops: list[Op], parameters: list[Parameter]) -> set[Value]:
    """Activations that lie behind a trained parameter: their gradient is needed."""
    behind = {parameter.value.storage for parameter in parameters if parameter.trained}
    wanted: set[Value] = set()
    for op in ops:
        if any(value.storage in behind or value in wanted for value in op.inputs):
            wanted.update(value for value in op.outputs if value.storage.region is Region.ARENA)
    return wanted


def wanted_values(graph: Graph) -> set[Value]:
    """Activations of the graph whose gradient training needs."""
    return _wanted(graph.ops, graph.parameters)


def _reaches_trained(op: Op, backward: Backward) -> bool:
    return any(value in backward.wanted or backward.accumulator(value) for value in op.inputs)


def _copy(graph: Graph, skip_dropout: bool, own_input: Value | None = None) -> tuple[list[Op], dict[Value, Value]]:
    """The graph's operations on values of their own: each program has its own arena. Parameters and input stay."""
    seen: dict[Value, Value] = {}
    storages: dict[Storage, Storage] = {}

    def own(value: Value) -> Value:
        if value is graph.input and own_input is not None:
            return own_input
        if value is graph.input or value.storage.region in (Region.WEIGHTS, Region.CONST):
            return value
        if value not in seen:
            old = value.storage
            if old is graph.input.storage:
                storages[old] = old if own_input is None else own_input.storage
            storages.setdefault(old, Storage(old.region, old.bytes, old.offset))
            seen[value] = Value(value.name, value.shape, storages[old])
        return seen[value]

    ops = []
    for op in graph.ops:
        if skip_dropout and op.kind == "dropout_forward":
            x, y = own(op.operand("x")), op.operand("y")
            seen[y] = Value(y.name, y.shape, x.storage)
            storages[y.storage] = x.storage
            ops.append(Op(RESHAPE, (x, seen[y]), {}, op.layer))
        else:
            operands = tuple(None if value is None else own(value) for value in op.operands)
            ops.append(Op(op.kind, operands, dict(op.attributes), op.layer))
    seen[graph.input] = graph.input
    return ops, seen
