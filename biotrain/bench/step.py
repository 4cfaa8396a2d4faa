"""One training step: our engine against torch in alternating runs, or its instructions on RISC-V."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from biotrain.bench.networks import Network, compile_network
from device_agent.engine.engine import Engine

#: Each run of a way takes about this long, so that the clock's own cost vanishes.
RUN_S = 0.02


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Medians in milliseconds, all of one thread."""

    ours_ms: float
    torch_eager_ms: dict[str, float]
    """Each eager way by name."""
    torch_compile_ms: float | None
    torch_compile_error: str | None

    def report(self, model: str, batch: int) -> dict[str, Any]:
        way = min(self.torch_eager_ms, key=self.torch_eager_ms.__getitem__)
        eager, compiled = self.torch_eager_ms[way], self.torch_compile_ms
        return {
            "model": model,
            "batch": batch,
            "threads": 1,
            "ours_ms": round(self.ours_ms, 4),
            "torch_eager_ms": round(eager, 4),
            "torch_eager_way": way,
            "torch_eager_ways_ms": {name: round(ms, 4) for name, ms in self.torch_eager_ms.items()},
            "torch_compile_ms": None if compiled is None else round(compiled, 4),
            "torch_compile_error": self.torch_compile_error,
            "times_faster_than_eager": round(eager / self.ours_ms, 2),
            "times_faster_than_compile": None if compiled is None else round(compiled / self.ours_ms, 2),
        }


def time_step(
    model: str,
    batch: int,
    *,
    rounds: int = 15,
    compile_too: bool = True,
    watch: Callable[[int, int], None] = lambda *_: None,
) -> StepTimes:
    """Every round runs every way once, so that a machine that slows down slows all of them."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from biotrain.bench.torch_ways import Way, compiled_way, eager_ways

    torch.set_num_threads(1)
    network = compile_network(model, batch)
    inputs, labels = torch.from_numpy(network.inputs), torch.from_numpy(network.labels)
    eager = eager_ways(model, inputs, labels)
    compiled, error = None, None
    if compile_too:
        try:
            compiled = compiled_way(model, inputs, labels)
        except Exception as failure:  # no compiler, no headers, an operator it does not know: torch's own words
            error = str(failure).strip().partition("\n")[0] or type(failure).__name__
    with Engine(network.plan, network.weights) as engine:
        engine.begin_fit()
        ours = engine.prepared_step(network.counts, network.scale, network.labels.tolist(), 1e-3)
        steps = [Way("ours", lambda: _drop(ours())), *eager, *([compiled] if compiled else [])]
        times = _alternate([way.step for way in steps], rounds, watch)
    by_name = {way.name: median(runs) for way, runs in zip(steps, times, strict=True)}
    return StepTimes(
        by_name["ours"], {way.name: by_name[way.name] for way in eager},
        by_name[compiled.name] if compiled else None, error,
    )  # fmt: skip


def _drop(loss: float) -> None:
    """A step's loss is not looked at."""


def _alternate(steps: list[Callable[[], None]], rounds: int, watch: Callable[[int, int], None]) -> list[list[float]]:
    """Milliseconds of one step in each run, for each of `steps`."""
    repeats = []
    for step in steps:
        for _ in range(3):
            step()
        repeats.append(max(1, round(RUN_S / _seconds(step, 3))))
    times: list[list[float]] = [[] for _ in steps]
    for done in range(rounds):
        for step, count, runs in zip(steps, repeats, times, strict=True):
            runs.append(1e3 * _seconds(step, count))
        watch(done + 1, rounds)
    return times


def _seconds(step: Callable[[], None], count: int) -> float:
    before = perf_counter()
    for _ in range(count):
        step()
    return (perf_counter() - before) / count


def count_step(model: str, batch: int) -> dict[str, Any]:
    """Instructions of one training window on the RISC-V image, preprocessing and its share of the step included."""
    from biotrain.riscv.training import TrainingRun, train

    network: Network = compile_network(model, batch)
    run = TrainingRun(steps=1, batch=batch, learning_rate=1e-3)
    trained = train(network.plan, network.weights, network.counts, network.scale, network.labels, run, each=True)
    spent = sorted(trained.of_operation.items(), key=lambda pair: -pair[1])
    return {
        "model": model,
        "batch": batch,
        "port": "riscv",
        "instructions_per_sample": round(trained.instructions_per_sample(batch)),
        "instructions_of_update": trained.step_instructions[0],
        "instructions_of_operations": {name: round(count / batch) for name, count in spent},
    }
