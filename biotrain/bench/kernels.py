"""What one kernel costs: instructions on the RISC-V image, or time on this machine, for each multiply-accumulate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from biotrain.bench.layers import REFERENCE, Layer
from biotrain.bench.single import single_plan
from device_agent.engine.engine import Engine
from schemas.plan import Region, read_plan
from schemas.weights import Origin, Weights

_COUNTS, _SCALE = np.zeros((1, 1, 1), np.int16), np.ones(1, np.float32)


@dataclass(frozen=True, slots=True)
class KernelCost:
    """By pass: instructions, or nanoseconds."""

    layer: Layer
    of_pass: dict[str, float]

    def per_mac(self) -> dict[str, float]:
        return {name: round(cost / self.layer.macs_of(name), 4) for name, cost in self.of_pass.items()}


def count_kernels(layers: Sequence[Layer], watch: Callable[[int, int], None] = lambda *_: None) -> list[KernelCost]:
    """Instructions counted on the image that trains, of one core; decoding, copies and set-up included."""
    return _each(layers, _count, watch)


def time_kernels(layers: Sequence[Layer], watch: Callable[[int, int], None] = lambda *_: None) -> list[KernelCost]:
    """Nanoseconds on one thread of this machine."""
    return _each(layers, _time, watch)


def _each(
    layers: Sequence[Layer], measure: Callable[[bytes], float], watch: Callable[[int, int], None]
) -> list[KernelCost]:
    costs, done, total = [], 0, sum(1 + len(layer.passes) for layer in layers)
    for layer in layers:
        empty, of_pass = measure(single_plan(layer, None)), {}
        watch(done := done + 1, total)
        for which in layer.passes:
            of_pass[which] = measure(single_plan(layer, which)) - empty
            watch(done := done + 1, total)
        costs.append(KernelCost(layer, of_pass))
    return costs


def _count(plan: bytes) -> float:
    from biotrain.riscv.training import TrainingRun, train

    # the first window also raises the executor's high-water marks, an instruction each; all others are alike
    trained = train(plan, _weights(plan), _COUNTS, _SCALE, np.zeros(1, np.int64), TrainingRun(steps=1, batch=3))
    _, second, third = trained.run_instructions
    assert second == third
    return second


def _time(plan: bytes) -> float:
    with Engine(plan, _weights(plan)) as engine:
        engine.begin_fit()
        step = engine.prepared_step(np.repeat(_COUNTS, 64, axis=0), _SCALE, [0] * 64, 0.0)
        runs = []
        for _ in range(12):
            before = perf_counter()
            step()
            runs.append((perf_counter() - before) / 64)
    return 1e9 * median(runs[2:])


def _weights(plan: bytes) -> bytes:
    read = read_plan(plan)
    return Weights(read.hash, 1, bytes(read.header.region_bytes[Region.WEIGHTS]), Origin.PRETRAINED).pack()


def kernel_report(costs: Sequence[KernelCost], unit: str) -> dict[str, Any]:
    """`unit` a multiply-accumulate for each pass: of the reference layer, then of all layers."""
    per_layer = [
        {"layer": cost.layer.name, "macs": cost.layer.macs, unit: cost.per_mac()}
        for cost in costs
        if cost.layer is not REFERENCE
    ]
    reference = next(cost for cost in costs if cost.layer is REFERENCE)
    return {"layer": REFERENCE.name, "macs": REFERENCE.macs, unit: reference.per_mac(), "layers": per_layer}
