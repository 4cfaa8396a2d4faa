"""`biotrain plan`: what training a model on the device takes, and the plan file itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError
from schemas.plan_room import TARGETS

if TYPE_CHECKING:
    from torch import nn

    from device_agent.compiler.compile import CompiledPlan, Signal

PASSES = ("capture", "normalise", "differentiate", "fuse", "narrow", "schedule", "stage", "place", "allocate")
_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000, "kib": 1_024, "mib": 1_048_576}


def main(
    model: Annotated[str, typer.Argument(help="A model of the zoo (e.g. epidenet), or your own as FILE.py:NAME.")],
    mode: Annotated[
        str, typer.Option(help="What is trained: full, last-layer, norm-only, bias-only, or parameters: NAME,NAME.")
    ] = "full",
    norm: Annotated[str, typer.Option(help="What batch norm becomes: group, frozen, batch (exact).")] = "group",
    batch: Annotated[int, typer.Option(min=1, help="Windows of one optimiser step.")] = 8,
    optimizer: Annotated[str, typer.Option(help="sgd, adam or adamw: decides how much state is kept.")] = "sgd",
    budget: Annotated[
        str, typer.Option(help="The most that the training state may take, e.g. 300KB; left out: the best trade.")
    ] = "",
    target: Annotated[
        str,
        typer.Option(help="A device that the plan must fit: gap9. What L2 has no room for goes to L3; else refused."),
    ] = "",
    without: Annotated[
        str, typer.Option(help="Techniques that save memory and are not to be used: NAME,NAME; all for none of them.")
    ] = "",
    activations: Annotated[
        str,
        typer.Option(help="Kept for the backward pass as float32, bf16 (where that frees memory), bf16-all."),
    ] = "float32",
    windows: Annotated[str, typer.Option(help="How input windows lie in memory: float32 or int16.")] = "float32",
    input_size: Annotated[
        str, typer.Option("--input", help="Windows as CHANNELSxSAMPLES, e.g. 8x1900; the zoo has sizes of its own.")
    ] = "",
    sampling_rate: Annotated[float, typer.Option(min=0.001, help="Hz, of your own model's windows.")] = 500.0,
    out: Annotated[Path | None, typer.Option(help="Write the plan file here.")] = None,
    sign: Annotated[
        Path | None, typer.Option(help="Sign it: an authority's folder, or a signing key's file. It covers no weights.")
    ] = None,
    passphrase: Annotated[
        str | None,
        typer.Option(envvar="BIOTRAIN_CA_PASSPHRASE", show_envvar=True, hidden=True, help="Of the key."),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Draw the arena over one training step into this SVG file.")
    ] = None,
    without_reuse: Annotated[bool, typer.Option(help="Draw it as if no memory were used twice.")] = False,
    dump_ir: Annotated[str, typer.Option(help=f"Print the program behind a pass: {', '.join(PASSES)}.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Compile a network and say what one training step needs on the device.

    Example:

        biotrain plan epidenet --norm group --json
        biotrain plan mi-bminet --budget 300KB --target gap9
        biotrain plan my_module.py:Model --input 8x1900 --out my.plan
    """
    if dump_ir and dump_ir not in PASSES:
        raise UserError(f"there is no pass {dump_ir!r}: choose one of {', '.join(PASSES)}")
    if sign is not None and out is None:
        raise UserError("--sign is for the file that --out names: give --out FILE.plan")
    if target and target not in TARGETS:
        raise UserError(f"there is no target {target!r}: choose {', '.join(TARGETS)}")
    limit = parse_bytes(budget) if budget else None

    def compiled(batch: int, limit: int | None, aside: int = 0) -> tuple[CompiledPlan, dict[str, str]]:
        return _compile(
            model, mode, norm, batch, optimizer, input_size, sampling_rate, limit, without, activations, windows, aside
        )

    plan, texts = compiled(batch, limit)
    if target:
        from biotrain.target import missing_l2, must_fit

        if (lacking := missing_l2(plan, TARGETS[target])) and lacking < plan.report["memory"]["arena_bytes"]:
            beside = compiled(batch, limit, lacking)
            if not missing_l2(beside[0], TARGETS[target]):
                plan, texts = beside
        must_fit(plan, TARGETS[target], target, batch, lambda batch, limit: compiled(batch, limit)[0])
    if out is not None:
        from biotrain.files import write_whole

        write_whole(out, plan.file if sign is None else _signed(plan.file, sign, passphrase))
    if timeline is not None:
        from biotrain.files import write_whole

        write_whole(timeline, _picture(plan, without_reuse).encode())
    told = {"resident_bytes": plan.resident_bytes, "arena_proven_optimal": plan.arena.proven}
    report = {**plan.report, "memory": {**plan.report["memory"], **told}}
    if dump_ir:
        print(texts[dump_ir])
    elif as_json:
        print(json.dumps({**report, "layers": [asdict(layer) for layer in plan.layers]}))
    else:
        _print_layers(plan)
        _print_table(report, len(plan.file))


def _signed(plan: bytes, place: Path, passphrase: str | None) -> bytes:
    from biotrain.trust.signer import open_signer

    signer = open_signer(place, passphrase)
    from biotrain.trust.signing import sign_plan

    return sign_plan(plan, signer)


def _compile(
    model: str,
    mode: str,
    norm: str,
    batch: int,
    optimizer: str,
    input_size: str,
    sampling_rate: float,
    budget: int | None,
    without: str,
    activations: str,
    windows: str,
    aside: int,
) -> tuple[CompiledPlan, dict[str, str]]:
    if find_spec("torch") is None:  # said once, in words, instead of wherever it is needed first
        raise UserError("compiling a model needs torch: install it with `pip install 'biotrain[torch]'`")
    from device_agent.compiler.compile import compile_model
    from device_agent.compiler.normalise import Norm
    from device_agent.compiler.stream.choice import ALL
    from device_agent.compiler.training_options import Activations, Mode, Optimizer, Windows

    left_out = frozenset(ALL if without == "all" else filter(None, (name.strip() for name in without.split(","))))
    if unknown := sorted(left_out - ALL):
        raise UserError(f"there is no technique {unknown[0]!r}: choose from {', '.join(sorted(ALL))}, or all")
    if norm not in list(Norm):
        raise UserError(f"there is no norm {norm!r}: choose one of {', '.join(Norm)}")
    if optimizer not in list(Optimizer):
        raise UserError(f"there is no optimizer {optimizer!r}: choose one of {', '.join(Optimizer)}")
    if activations not in list(Activations):
        raise UserError(f"activations cannot be kept as {activations!r}: choose one of {', '.join(Activations)}")
    if windows not in list(Windows):
        raise UserError(f"windows cannot be kept as {windows!r}: choose one of {', '.join(Windows)}")
    module, name, signal, shape = _find_model(model, input_size, sampling_rate)
    names = {parameter for parameter, _ in module.named_parameters()}
    chosen: Mode | list[str]
    if mode in list(Mode):
        chosen = Mode(mode)
    elif "," in mode or "." in mode or "*" in mode or mode in names:
        chosen = [part.strip() for part in mode.split(",")]
    else:
        raise UserError(f"there is no mode {mode!r}: choose one of {', '.join(Mode)}, or parameters: NAME,NAME")
    texts: dict[str, str] = {}
    plan = compile_model(
        module,
        signal,
        name=name,
        norm=Norm(norm),
        mode=chosen,
        batch=batch,
        optimizer=Optimizer(optimizer),
        input_shape=shape,
        budget=budget,
        techniques=ALL - left_out,
        activations=Activations(activations),
        windows=Windows(windows),
        aside=aside,
        watch=texts.__setitem__,
    )
    return plan, texts


def _find_model(
    model: str, input_size: str, sampling_rate: float
) -> tuple[nn.Module, str, Signal, tuple[int, ...] | None]:
    """The module, its name, the windows it is for, and the shape in which it takes them."""
    from device_agent.compiler.compile import Signal
    from device_agent.models import SIZES, ModelSize, build_model

    file, _, attribute = model.rpartition(":")
    sizes = _parse_size(input_size)
    if not file:
        if model.endswith(".py"):
            raise UserError(f"say which network of {model} to compile: {model}:NAME")
        known = SIZES.get(model)
        size = ModelSize(*sizes, known.classes, known.sampling_rate_hz) if known and sizes else known
        module, shape, name = build_model(model, size), None, model
        assert size is not None  # build_model has refused a name that is not there
    else:
        from device_agent.compiler.user_module import input_and_classes, load_module

        if sizes is None:
            raise UserError(f"say how large the windows of {model} are: --input CHANNELSxSAMPLES, e.g. --input 8x1900")
        module, name = load_module(Path(file), attribute), attribute
        shape, classes = input_and_classes(module, *sizes)
        size = ModelSize(*sizes, classes, sampling_rate)
    channels = tuple(f"channel{number + 1}" for number in range(size.channels))
    labels = tuple(f"class{number}" for number in range(size.classes))
    return module, name, Signal(channels, size.samples, size.sampling_rate_hz, labels), shape


def _parse_size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    channels, by, samples = text.lower().partition("x")
    if not (by and channels.isdigit() and samples.isdigit() and int(channels) and int(samples)):
        raise UserError(f"--input {text!r} is no window size: expected CHANNELSxSAMPLES, e.g. 8x1900")
    return int(channels), int(samples)


def parse_bytes(text: str) -> int:
    """300000, 300KB, 0.3MB, 293KiB. Raises UserError."""
    number = text.strip().lower().rstrip("kmib").strip()
    unit = text.strip().lower()[len(number) :].strip() or "b"
    try:
        size = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        size = 0
    if not 1 <= size < 1e12:
        raise UserError(f"{text!r} is no amount of memory: expected a number of bytes, e.g. 300KB, 0.3MB or 300000")
    return int(size)


def _picture(plan: CompiledPlan, without_reuse: bool) -> str:
    from device_agent.compiler.timeline import draw_timeline

    report, arena = plan.report, plan.arena
    problem, offsets = arena.together()
    memory = report["memory"]
    besides = memory["total_bytes"] - memory["arena_bytes"] - memory["l1_bytes"] - memory["l3_bytes"]
    title = f"{report['model']}: memory over one training step ({report['norm']} norm, {report['mode']})"
    l1_from = arena.bytes if arena.l1_bytes else 0
    return draw_timeline(problem, offsets, arena.labels, title, besides, without_reuse, l1_from)


def _print_layers(plan: CompiledPlan) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="layer by layer: bytes of outputs; multiply-accumulates and modelled cycles of a training window"
    )
    for name in (
        "layer",
        "operation",
        "output",
        "parameters",
        "MACs",
        "runs",
        "again",
        "bytes",
        "kept",
        "L1 tile",
        "cycles",
    ):
        table.add_column(name, justify="left" if name in ("layer", "operation", "runs") else "right")

    def number(value: int) -> str:
        return f"{value:,}" if value else ""

    for layer in plan.layers:
        numbers = (number(value) for value in (layer.recomputed_macs, layer.bytes, layer.kept_bytes))
        table.add_row(
            layer.name, layer.kind, _sizes(layer.output), number(layer.parameters), number(layer.macs), layer.runs,
            *numbers, _sizes(layer.l1_tile), number(layer.cycles),
        )  # fmt: skip
    table.add_section()
    sums = {
        name: number(sum(getattr(layer, name) for layer in plan.layers))
        for name in ("parameters", "macs", "recomputed_macs", "bytes", "kept_bytes", "cycles")
    }
    table.add_row(
        "together", "", "", sums["parameters"], sums["macs"], "", sums["recomputed_macs"], sums["bytes"],
        sums["kept_bytes"], "", sums["cycles"],
    )  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)  # a file has no edge


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _print_table(report: dict[str, Any], file_bytes: int) -> None:
    from rich.console import Console
    from rich.table import Table

    memory, macs, gap9 = report["memory"], report["macs"], report["gap9"]
    table = Table(title=f"{report['model']}, {report['mode']}, {report['norm']} norm, batch {report['batch']}")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("unit")
    optimal = ": the arena is proven optimal" if memory["arena_proven_optimal"] else ""
    rows: list[tuple[str, int | float, str]] = [
        ("trained parameters", report["params"], ""),
        ("forward", macs["forward"], "multiply-accumulates a window"),
        ("computed again", macs["recompute"], "multiply-accumulates a window"),
        ("backward", macs["backward"], "multiply-accumulates a window"),
        ("training state, at its peak", memory["total_bytes"], "bytes"),
        ("  weights", memory["weights_bytes"], "bytes"),
        ("  gradients", memory["gradients_bytes"], "bytes"),
        ("  optimiser", memory["optimizer_bytes"], "bytes"),
        ("  arena", memory["arena_bytes"], "bytes"),
        ("  in L1 from one operation to the next", memory["l1_bytes"], "bytes"),
        ("  in L3, read there in place", memory["l3_bytes"], "bytes"),
        ("  arena, lower bound", memory["arena_lower_bound_bytes"], f"bytes{optimal}"),
        ("resident beside it", memory["resident_bytes"], "bytes"),
        ("plan file", file_bytes, "bytes"),
        ("operands in L1", report["traffic"]["l1_bytes"], "bytes a training window"),
        ("operands in L2", report["traffic"]["l2_bytes"], "bytes a training window"),
        ("operands in L3", report["traffic"]["l3_bytes"], "bytes a training window"),
        ("copied to and from L1", report["traffic"]["copied_bytes"], "bytes a training window"),
        ("GAP9 (model)", gap9["cycles_per_sample"], "cycles a training window"),
        ("  of these, waiting for L2", gap9["l2_stall_cycles_per_sample"], "cycles"),
        ("  and for copies to and from L1", gap9["copy_wait_cycles_per_sample"], "cycles"),
        ("  without either", gap9["cycles_with_dma_per_sample"], "cycles"),
        ("GAP9 (model)", gap9["samples_per_second"], "training windows a second"),
        ("GAP9 (model)", gap9["energy_mj_per_sample"], "mJ a window"),
    ]
    for name, value, unit in rows:
        if "L3" in name and not value:
            continue
        table.add_row(name, f"{value:,}", unit)
    console = Console()
    console.print(table)
    console.print(f"[dim]{gap9['basis']}[/dim]")
    if memory["l3_bytes"]:
        console.print("note: what lies in L3 is read through its window, at a cost that these cycles leave out")
    for note in report["notes"]:
        console.print(f"note: {note}", highlight=False)
