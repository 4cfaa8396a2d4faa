"""`biotrain plan`: what training a model on the device takes, and the plan file itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.compiler.compile import CompiledPlan

PASSES = ("capture", "normalise", "differentiate", "in_place", "allocate")


def main(
    model: Annotated[str, typer.Argument(help="A model of the zoo: mi-bminet, epidenet, epidenet-short.")],
    mode: Annotated[str, typer.Option(help="What is trained: full, last-layer, norm-only.")] = "full",
    norm: Annotated[str, typer.Option(help="What batch norm becomes: group, frozen.")] = "group",
    batch: Annotated[int, typer.Option(min=1, help="Windows of one optimiser step.")] = 8,
    out: Annotated[Path | None, typer.Option(help="Write the plan file here.")] = None,
    dump_ir: Annotated[str, typer.Option(help=f"Print the program behind a pass: {', '.join(PASSES)}.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Compile a model of the zoo and say what one training step needs on the device.

    Example:

        biotrain plan epidenet --norm group --json
    """
    if dump_ir and dump_ir not in PASSES:
        raise UserError(f"there is no pass {dump_ir!r}: choose one of {', '.join(PASSES)}")
    plan, texts = _compile(model, mode, norm, batch)
    if out is not None:
        from biotrain.files import write_whole

        write_whole(out, plan.file)
    report = {**plan.report, "memory": {**plan.report["memory"], "resident_bytes": plan.resident_bytes}}
    if dump_ir:
        print(texts[dump_ir])
    elif as_json:
        print(json.dumps(report))
    else:
        _print_table(report, len(plan.file))


def _compile(model: str, mode: str, norm: str, batch: int) -> tuple[CompiledPlan, dict[str, str]]:
    from device_agent.models import SIZES, build_model

    try:
        module = build_model(model)
    except ImportError:
        raise UserError("compiling a model needs torch: install it with `pip install 'biotrain[torch]'`") from None
    from device_agent.compiler.compile import Signal, compile_model
    from device_agent.compiler.differentiate import Mode
    from device_agent.compiler.normalise import Norm

    if mode not in list(Mode):
        raise UserError(f"there is no mode {mode!r}: choose one of {', '.join(Mode)}")
    if norm not in list(Norm):
        raise UserError(f"there is no norm {norm!r}: choose one of {', '.join(Norm)}")
    size = SIZES[model]
    channels = tuple(f"channel{number + 1}" for number in range(size.channels))
    classes = tuple(f"class{number}" for number in range(size.classes))
    signal = Signal(channels, size.samples, size.sampling_rate_hz, classes)
    texts: dict[str, str] = {}
    plan = compile_model(
        module, signal, name=model, norm=Norm(norm), mode=Mode(mode), batch=batch, watch=texts.__setitem__
    )
    return plan, texts


def _print_table(report: dict[str, Any], file_bytes: int) -> None:
    from rich.console import Console
    from rich.table import Table

    memory, macs, gap9 = report["memory"], report["macs"], report["gap9"]
    table = Table(title=f"{report['model']}, {report['mode']}, {report['norm']} norm, batch {report['batch']}")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("unit")
    rows: list[tuple[str, int | float, str]] = [
        ("trained parameters", report["params"], ""),
        ("forward", macs["forward"], "multiply-accumulates a window"),
        ("backward", macs["backward"], "multiply-accumulates a window"),
        ("training state in L2, at its peak", memory["total_bytes"], "bytes"),
        ("  weights", memory["weights_bytes"], "bytes"),
        ("  gradients", memory["gradients_bytes"], "bytes"),
        ("  momentum", memory["optimizer_bytes"], "bytes"),
        ("  arena", memory["arena_bytes"], "bytes"),
        ("  arena, lower bound", memory["arena_lower_bound_bytes"], "bytes"),
        ("resident beside it", memory["resident_bytes"], "bytes"),
        ("plan file", file_bytes, "bytes"),
        ("GAP9 (model)", gap9["samples_per_second"], "training windows a second"),
        ("GAP9 (model)", gap9["energy_mj_per_sample"], "mJ a window"),
    ]
    for name, value, unit in rows:
        table.add_row(name, f"{value:,}", unit)
    console = Console()
    console.print(table)
    console.print(f"[dim]{gap9['basis']}[/dim]")
