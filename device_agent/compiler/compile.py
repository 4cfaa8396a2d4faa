"""The row of passes: torch module in, plan out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from device_agent.compiler.allocate import Arena, allocate_slots
from device_agent.compiler.assemble import Task
from device_agent.compiler.capture import capture
from device_agent.compiler.copies import follow_copies
from device_agent.compiler.differentiate import choose_trained, describe
from device_agent.compiler.emit import Emitter
from device_agent.compiler.errors import CompileError
from device_agent.compiler.gap9 import estimate
from device_agent.compiler.instructions import by_layer, meetings
from device_agent.compiler.ir import Graph, Program, Value, print_ops
from device_agent.compiler.layers import Layer, describe_layers
from device_agent.compiler.macs import count_macs, forward_macs
from device_agent.compiler.memory_plan import plan_memory
from device_agent.compiler.narrow import Counts, narrow_preprocessing
from device_agent.compiler.normalise import Norm, normalise
from device_agent.compiler.operators.norm import BATCH_NORM
from device_agent.compiler.preprocessing import Constants, preprocess
from device_agent.compiler.stream.choice import ALL
from device_agent.compiler.traffic import region_traffic
from device_agent.compiler.training_options import Activations, Loss, Mode, Optimizer, Windows
from device_agent.preprocessing.steps import Preprocessing
from schemas.plan import NO_FEATURES, Entry, PlanHeader, Region, pack_plan, read_plan
from schemas.weights import Origin, Weights

if TYPE_CHECKING:
    from torch import nn

#: Stacks, link buffers and state of the firmware; the wearable's own count is checked against it.
FIRMWARE_BYTES = 20_000
#: Of the device (BT_MAX_BATCH).
MAX_BATCH = 256
#: Takes the name of a pass and a printout of the IR behind it.
Watcher = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Signal:
    """The windows that the model is for."""

    channels: tuple[str, ...]
    samples: int
    sampling_rate_hz: float
    classes: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A plan file and what is needed to write weights for it."""

    file: bytes
    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    """Names and shapes, in the order of the weights file."""
    report: dict[str, Any]
    """The fields of `biotrain plan --json` that do not depend on a target."""
    arena: Arena
    layers: tuple[Layer, ...] = ()
    """What is kept and computed again, layer by layer."""
    programs: tuple[tuple[Program, float], ...] = ()
    """Of a training window: preprocessing, training, and its share of the optimiser's step."""

    @property
    def resident_bytes(self) -> int:
        """What lies in L2 beside the training state: serving weights, the plan, and the firmware's own."""
        return int(self.report["memory"]["weights_bytes"]) + len(self.file) + FIRMWARE_BYTES

    @property
    def hash(self) -> str:
        return read_plan(self.file).hash

    def weights_file(self, module: nn.Module, version: int = 1) -> bytes:
        """The module's present values as pre-trained weights for this plan."""
        state = module.state_dict()
        missing = [name for name, _ in self.parameters if name not in state]
        if missing:
            raise CompileError(f"the module has no {missing[0]}: it is not the one that was compiled")
        for name, shape in self.parameters:
            if (tuple(state[name].shape) or (1,)) != shape:
                raise CompileError(f"{name} has shape {tuple(state[name].shape)}, the plan was compiled with {shape}")
            if not bool(state[name].isfinite().all()):
                raise CompileError(f"{name} holds NaN or infinity: the weights of this module cannot be used")
        values = [state[name].detach().cpu().numpy().astype("<f4") for name, _ in self.parameters]
        return Weights(self.hash, version, b"".join(v.tobytes() for v in values), Origin.PRETRAINED).pack()

    def load_values(self, values: bytes) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
        """A weights file's values by parameter name."""
        flat = np.frombuffer(values, "<f4")
        out, at = {}, 0
        for name, shape in self.parameters:
            size = int(np.prod(shape))
            out[name] = flat[at : at + size].reshape(shape)
            at += size
        return out


def compile_model(
    module: nn.Module,
    signal: Signal,
    *,
    name: str,
    norm: Norm = Norm.GROUP,
    mode: Mode | Sequence[str] = Mode.FULL,
    preprocessing: Preprocessing | None = None,
    model_channels: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    batch: int = 8,
    loss: Loss = Loss(),
    optimizer: Optimizer = Optimizer.SGD,
    budget: int | None = None,
    techniques: frozenset[str] = ALL,
    activations: Activations = Activations.FLOAT32,
    windows: Windows = Windows.FLOAT32,
    aside: int = 0,
    watch: Watcher = lambda name, text: None,
) -> CompiledPlan:
    """Compiles a module with input [N, 1, channels, samples] (or [N, *input_shape]) and output [N, classes].

    `activations` and `windows` may be kept in narrow form, and are then rounded (docs/arithmetic.md).
    `aside`: so many bytes, where a device's L2 is too small, lie in L3.
    `budget` is the most that the training state may take, in bytes; `techniques` are those that may be used to save
    memory. The same module, signal and settings always give the same bytes. Raises CompileError.
    """
    channels = len(signal.channels)
    graph = capture(module, input_shape or (1, model_channels or channels, signal.samples))
    watch("capture", print_ops(graph.ops))
    if graph.output.shape != (len(signal.classes),):
        raise CompileError(f"the model has {graph.output.shape[0]} outputs, there are {len(signal.classes)} classes")
    graph = normalise(graph, norm)
    watch("normalise", print_ops(graph.ops))
    choose_trained(graph, mode)
    constants = Constants()
    preparing = preprocess(preprocessing or Preprocessing(), channels, signal.samples, graph.input, constants)
    loss.check(len(signal.classes))
    class_weights = None
    if loss.class_weights is not None:
        class_weights = constants.add("class weights", np.array(loss.class_weights, np.float32))
    together = norm is Norm.BATCH and any(op.kind == BATCH_NORM for op in graph.ops)
    if together and not 2 <= batch <= MAX_BATCH:
        raise CompileError(
            f"exact batch norm needs a batch of 2 to {MAX_BATCH} windows, got {batch}: "
            "choose norm group or frozen to train on single windows"
        )
    counts = Counts.like(graph.input) if windows is Windows.INT16 else None
    if counts is not None:
        preparing = narrow_preprocessing(preparing, graph.input, counts)
    bf16, all_of_them = activations is not Activations.FLOAT32, activations is Activations.BF16_ALL
    fused = "fuse" in techniques
    task = Task(
        graph, loss, class_weights, optimizer, batch, together, fused, bf16, round_all=all_of_them, counts=counts
    )
    planned = plan_memory(task, preparing, budget, techniques, watch, aside)
    made, arena = planned.programs, planned.arena
    scalar_bytes = allocate_slots([made.infer, made.train], Region.SCALARS)
    watch("allocate", print_ops(made.train.ops))
    programs = {
        Entry.PREPROCESS: preparing,
        Entry.INFER: made.infer,
        Entry.TRAIN: made.train,
        Entry.UPDATE: made.update,
    }
    settings = Settings(name, str(norm), describe(mode), batch, optimizer, activations, windows, made.narrowed)
    plan = _emit(settings, signal, graph, task.input, programs, made.loss, constants, arena, scalar_bytes, made.inputs)
    streams = tuple(zip(planned.chains, planned.choices, strict=True))
    weighed = _weighed(programs, batch)
    return replace(plan, layers=describe_layers(graph, made.train, arena, streams, by_layer(weighed)), programs=weighed)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the report repeats of the caller's wishes."""

    name: str
    norm: str
    mode: str
    batch: int
    optimizer: Optimizer
    activations: Activations
    windows: Windows
    narrowed: tuple[str, ...]


def _weighed(programs: dict[Entry, Program], batch: int) -> tuple[tuple[Program, float], ...]:
    """What a training window runs: its own, and its share of the optimiser's step."""
    return (programs[Entry.PREPROCESS], 1.0), (programs[Entry.TRAIN], 1.0), (programs[Entry.UPDATE], 1.0 / batch)


def _emit(
    settings: Settings,
    signal: Signal,
    graph: Graph,
    window: Value,
    programs: dict[Entry, Program],
    loss: Value,
    constants: Constants,
    arena: Arena,
    scalar_bytes: int,
    inputs: Value | None,
) -> CompiledPlan:
    emitter = Emitter()
    code = {entry: emitter.program(program) for entry, program in programs.items()}
    pinned = programs[Entry.INFER].pinned
    weights = sum(parameter.value.storage.bytes for parameter in graph.parameters)
    trained = sum(parameter.value.storage.bytes for parameter in graph.parameters if parameter.trained)
    kept = trained * settings.optimizer.states
    regions = {
        Region.CONST: len(constants.bytes),
        Region.WEIGHTS: weights,
        Region.GRADIENTS: trained,
        Region.OPTIMIZER: kept,
        Region.SCALARS: scalar_bytes,
        Region.ARENA: arena.bytes,
        Region.L1: arena.l1_bytes,
        Region.L3: arena.l3_bytes,
    }
    total = weights + trained + kept + arena.bytes + arena.l1_bytes + arena.l3_bytes + scalar_bytes
    moved, copies = region_traffic(programs[Entry.TRAIN]), follow_copies(programs[Entry.TRAIN])
    forward, done = forward_macs(graph), count_macs(programs[Entry.TRAIN])
    modelled = asdict(
        estimate(
            sum(by_layer(_weighed(programs, settings.batch)).values()),
            meetings(_weighed(programs, settings.batch)),
            done.forward + done.backward,
            moved[Region.ARENA],
            copies.bytes,
            copies.waited,
        )
    )
    report = {
        "model": settings.name,
        "mode": settings.mode,
        "norm": settings.norm,
        "batch": settings.batch,
        "params": sum(p.value.storage.bytes for p in graph.parameters if p.gradient or p.trained) // 4,
        "macs": {"forward": forward, "backward": done.backward, "recompute": done.forward - forward},
        "memory": {
            "total_bytes": total,
            "weights_bytes": weights,
            "gradients_bytes": trained,
            "optimizer_bytes": kept,
            "arena_bytes": arena.bytes,
            "arena_lower_bound_bytes": arena.lower_bound,
            "l1_bytes": arena.l1_bytes,
            "l3_bytes": arena.l3_bytes,
        },
        "traffic": {
            "l1_bytes": moved[Region.L1],
            "l2_bytes": moved[Region.ARENA],
            "l3_bytes": moved[Region.L3],
            "copied_bytes": copies.bytes,
        },
        "gap9": modelled,
    }
    if settings.activations is not Activations.FLOAT32:
        report |= {"activations": str(settings.activations), "narrowed": settings.narrowed}
    if settings.windows is not Windows.FLOAT32:
        report["windows"] = str(settings.windows)
    parameters = [
        {"name": p.name, "shape": p.value.shape, "trained": p.trained, "offset": p.value.storage.offset}
        for p in graph.parameters
    ]
    names = {
        "classes": signal.classes,
        "channels": signal.channels,
        "unit": signal.unit,
        "parameters": parameters,
        **report,
        "gap9": {name: value for name, value in modelled.items() if name != "basis"},  # words, for readers here
    }
    header = PlanHeader(
        model=settings.name,
        channels=len(signal.channels),
        samples=signal.samples,
        classes=len(signal.classes),
        sampling_rate_hz=signal.sampling_rate_hz,
        region_bytes=tuple(regions.get(region, 0) for region in Region),
        input_view=emitter.view(window),
        logits_view=emitter.view(pinned[0]),
        features_view=emitter.view(pinned[1]) if len(pinned) > 1 else NO_FEATURES,
        loss_view=emitter.view(loss, (loss.storage.bytes // 4,)),
        training_bytes=total,
        batch=settings.batch if inputs else 1,
        batch_view=emitter.view(inputs, (settings.batch, *inputs.shape)) if inputs else 0,
    )
    file = pack_plan(header, names, emitter.views, bytes(constants.bytes), code)
    shapes = tuple((p.name, p.value.shape) for p in graph.parameters)
    return CompiledPlan(file, shapes, {**report, "notes": graph.notes}, arena)
