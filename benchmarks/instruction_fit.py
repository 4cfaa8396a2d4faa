"""Counts what each kind of operation takes on the RISC-V image and fits `device_agent/compiler/instructions.py` to it.

.venv/bin/python -m benchmarks.instruction_fit
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from biotrain.bench.gap9 import model_step
from biotrain.bench.networks import compile_network
from device_agent.compiler.instructions import BY_PRODUCT, BY_VALUE, CALL, cores, units
from device_agent.compiler.traffic import runs
from schemas.plan import read_plan

FITTED, BATCH = ("mi-bminet", "epidenet"), 8
FOR_THE_REST = "eegnet"
"""What kinds the first two have not are fitted to."""
OTHERS = ("epidenet-short", "eeg-tcnet")


def work_of(model: str) -> dict[str, npt.NDArray[np.float64]]:
    """By kind: calls, products and values (for one core of eight) of a training window and its share of the step."""
    found: dict[str, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    for program, weight in compile_network(model, BATCH).programs:
        for op, times in runs(program):
            products, values = units(op)
            found[op.kind] += weight * times * np.array([1, products / cores(op), values / cores(op)])
    return found


def fit_kind(kind: str, rows: list[tuple[npt.NDArray[np.float64], float]]) -> tuple[float, float]:
    """Two costs that are not negative, so that the relative errors are least; of one row alone, a call is CALL."""
    if kind in BY_PRODUCT:
        known = [(work[1:] / (counted - CALL * work[0])) for work, counted in rows]
    elif len(rows) == 1:
        work, counted = rows[0]
        call = min(CALL, 0.5 * counted / work[0])
        return call, max(0.0, (counted - call * work[0]) / work[2])
    else:
        known = [np.array([work[0], work[2]]) / counted for work, counted in rows]
    matrix, ones = np.array(known), np.ones(len(known))
    one, other = np.linalg.lstsq(matrix, ones, rcond=None)[0]
    alone = [matrix[:, i] @ ones / (matrix[:, i] @ matrix[:, i]) for i in range(2)]
    if one >= 0 and other >= 0:
        return float(one), float(other)
    losses = [float(np.sum((matrix[:, i] * alone[i] - 1) ** 2)) for i in range(2)]
    return (float(alone[0]), 0.0) if losses[0] < losses[1] else (0.0, float(alone[1]))


def main() -> None:
    counted = {model: model_step(model, BATCH) for model in (*FITTED, FOR_THE_REST, *OTHERS)}
    work = {model: work_of(model) for model in (*FITTED, FOR_THE_REST)}
    for kind in sorted({kind for each in work.values() for kind in each}):
        rows = [
            (work[model][kind], float(counted[model]["path_instructions_of_operations"][kind]))
            for model in work
            if kind in work[model] and (model in FITTED or not any(kind in work[name] for name in FITTED))
        ]
        one, other = fit_kind(kind, rows)
        print(f'    "{kind}": ({one:.2f}, {other:.2f}),' + ("  # by product" if kind in BY_PRODUCT else ""))
    print(f"in the tables: {len(BY_PRODUCT) + len(BY_VALUE)} kinds")
    for model, said in counted.items():
        guess = read_plan(compile_network(model, BATCH).plan).names["gap9"]["cycles_with_dma_per_sample"]
        true = said["gap9"]["cycles_with_dma_per_sample"]
        print(f"{model}: {guess:,} cycles estimated, {true:,} of counted instructions: {guess / true - 1:+.1%}")


if __name__ == "__main__":
    main()
