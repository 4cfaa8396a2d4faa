"""`biotrain bench`: how fast a training step is here, and how many instructions it takes on the device."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

PAPER_MODELS = ("epidenet", "mi-bminet")


def main(
    what: Annotated[str, typer.Argument(help="step, kernels (convolutions, linear layers), or gap9 (its model).")],
    model: Annotated[
        str, typer.Option(help="A model of the zoo. For kernels: whose layers; both of the paper by default.")
    ] = "",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Windows of one training step.")] = 8,
    port: Annotated[
        str, typer.Option(help="host: time on this machine, one thread. riscv: instructions counted by the emulator.")
    ] = "host",
    rounds: Annotated[int, typer.Option(min=1, help="Alternating runs of each way; medians are shown.")] = 15,
    torch_compile: Annotated[
        bool, typer.Option(help="Measure torch.compile as well: its compilation takes up to a minute.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure a training step against torch, or the kernels it is made of.

    Example:

        biotrain bench step --model mi-bminet --batch 8 --json
        biotrain bench step --model epidenet --port riscv
        biotrain bench kernels --port riscv --json
        biotrain bench gap9 --model epidenet
    """
    if what not in ("step", "kernels", "gap9"):
        raise UserError(f"there is no benchmark {what!r}: choose step or kernels or gap9")
    if port not in ("host", "riscv"):
        raise UserError(f"there is no port {port!r}: choose host or riscv")
    if what != "kernels" and not model:
        raise UserError(f"say which model to train: --model {' or --model '.join(PAPER_MODELS)}")
    if find_spec("torch") is None:
        raise UserError("measuring a model needs torch: install it with `pip install 'biotrain[torch]'`")
    with _progress(shown=not as_json) as progress:
        task = progress.add_task(f"bench {what}", total=None)

        def watch(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        if what == "step":
            report = _step(model, batch, port, rounds, torch_compile, watch)
        elif what == "kernels":
            report = _kernels(model, port, watch)
        else:
            report = _gap9(model, batch)
    if as_json:
        print(json.dumps(report))
    else:
        {"step": _print_step, "kernels": _print_kernels, "gap9": _print_gap9}[what](report)


def _step(
    model: str, batch: int, port: str, rounds: int, torch_compile: bool, watch: Callable[[int, int], None]
) -> dict[str, Any]:
    from biotrain.bench.step import count_step, time_step

    if port == "riscv":
        return count_step(model, batch)
    return time_step(model, batch, rounds=rounds, compile_too=torch_compile, watch=watch).report(model, batch)


def _gap9(model: str, batch: int) -> dict[str, Any]:
    from biotrain.bench.gap9 import model_step

    return model_step(model, batch)


def _kernels(model: str, port: str, watch: Callable[[int, int], None]) -> dict[str, Any]:
    from biotrain.bench.kernels import count_kernels, kernel_report, time_kernels
    from biotrain.bench.layers import REFERENCE, layers_of

    layers = [REFERENCE, *layers_of([model] if model else PAPER_MODELS)]
    measure, unit = {"host": (time_kernels, "ns_per_mac"), "riscv": (count_kernels, "instructions_per_mac")}[port]
    return {"port": port, **kernel_report(measure(layers, watch), unit)}


def _progress(shown: bool) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not (shown and console.is_terminal))


def _print_step(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"one training step of {report['model']}, batch {report['batch']}")
    table.add_column("what")
    table.add_column("value", justify="right")
    if "instructions_per_sample" in report:
        table.add_row("instructions a window, RV32IMAFC, one core", f"{report['instructions_per_sample']:,}")
        table.add_row("of which the optimiser's step, a batch", f"{report['instructions_of_update']:,}")
    else:
        table.add_row("biotrain", f"{report['ours_ms']:.3f} ms")
        for way, ms in report["torch_eager_ways_ms"].items():
            table.add_row(f"torch eager, {way}", f"{ms:.3f} ms")
        compiled = report["torch_compile_ms"]
        table.add_row(
            "torch.compile", f"{compiled:.3f} ms" if compiled else report["torch_compile_error"] or "left out"
        )
        table.add_row("times faster than the fastest eager way", f"{report['times_faster_than_eager']:.2f}")
        if compiled:
            table.add_row("times faster than torch.compile", f"{report['times_faster_than_compile']:.2f}")
    Console().print(table)


def _print_kernels(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from biotrain.bench.layers import PASSES

    unit = "instructions_per_mac" if "instructions_per_mac" in report else "ns_per_mac"
    table = Table(title=f"{unit.replace('_', ' ')}, {report['port']} port, one core")
    table.add_column("layer")
    table.add_column("MACs a pass", justify="right")
    for name in PASSES:
        table.add_column(name.replace("_", " "), justify="right")
    for row in (report, *report["layers"]):
        costs = (f"{row[unit][name]:.3f}" if name in row[unit] else "" for name in PASSES)
        table.add_row(row["layer"], f"{row['macs']:,}", *costs)
    Console().print(table)


def _print_gap9(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"one training window of {report['model']} on GAP9, batch {report['batch']} (a model)")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_row("instructions, one core", f"{report['instructions_per_sample']:,}")
    table.add_row("one after the other, eight cores", f"{report['path_instructions_per_sample']:,}")
    table.add_row("cycles", f"{report['gap9']['cycles_per_sample']:,}")
    table.add_row("  of these, waiting for L2", f"{report['gap9']['l2_stall_cycles_per_sample']:,}")
    table.add_row("  and for copies to and from L1", f"{report['gap9']['copy_wait_cycles_per_sample']:,}")
    table.add_row("  without either", f"{report['gap9']['cycles_with_dma_per_sample']:,}")
    for key in ("gap9", "gap9_thrifty"):
        point = report[key]
        rate, energy = (
            f"{point['samples_per_second']:,.1f} windows/s",
            f"{point['energy_mj_per_sample']:.3f} mJ a window",
        )
        table.add_row(f"{point['frequency_hz'] / 1e6:.0f} MHz, {point['power_mw']} mW", f"{rate}, {energy}")
    for row in report["errors"]:
        table.add_row(f"error: {row['what']}", f"{100 * row['error']:+.1f} %")
    console = Console()
    console.print(table)
    console.print(f"[dim]{report['gap9']['basis']}[/dim]")
