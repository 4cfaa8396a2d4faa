"""GAP9's figures for a model's training step, from instructions counted on the image that trains."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from biotrain.bench.networks import compile_network
from biotrain.bench.traffic import moved_bytes
from biotrain.riscv.training import TrainingRun, train
from device_agent.compiler import gap9
from schemas.plan import Entry, read_plan


def model_step(model: str, batch: int) -> dict[str, Any]:
    """One training window and its share of the optimiser's step on eight cores."""
    network = compile_network(model, batch)
    run = TrainingRun(steps=1, batch=batch, learning_rate=1e-3)
    trained = train(
        network.plan, network.weights, network.counts, network.scale, network.labels, run, cluster=gap9.CORES, each=True
    )  # fmt: skip
    windows, step = trained.run_counts, trained.step_counts[0]
    path = sum(count.path for count in windows) / batch + step.path / batch
    meetings = sum(count.rounds for count in windows) / batch + step.rounds / batch
    moved = sum(moved_bytes(network.plan, entry) for entry in (Entry.PREPROCESS, Entry.TRAIN))
    moved_a_sample = moved + moved_bytes(network.plan, Entry.UPDATE) / batch
    names = read_plan(network.plan).names
    macs, modelled = names["macs"], names["gap9"]
    waiting = gap9.Waiting(modelled["l2_stall_cycles_per_sample"], modelled["copy_wait_cycles_per_sample"])
    cycles = gap9.cycles(path, meetings, macs["forward"] + macs["backward"] + macs["recompute"], moved_a_sample)
    how = f"instructions counted, {gap9.CORES} cores"
    return {
        "model": model,
        "batch": batch,
        "instructions_per_sample": round(trained.instructions_per_sample(batch)),
        "path_instructions_per_sample": round(path),
        "path_instructions_of_operations": {
            name: round(count / batch)
            for name, count in sorted(trained.of_operation.items(), key=lambda pair: -pair[1])
        },
        "meetings_per_sample": round(meetings),
        "moved_bytes_per_sample": round(moved_a_sample),
        "gap9": asdict(gap9.at(gap9.FASTEST, cycles, waiting, how)),
        "gap9_thrifty": asdict(gap9.at(gap9.THRIFTIEST, cycles, waiting, how)),
        "cycles_per_instruction": gap9.CYCLES_PER_INSTRUCTION,
        "errors": [fit.report() for fit in gap9.against_published()],
    }
