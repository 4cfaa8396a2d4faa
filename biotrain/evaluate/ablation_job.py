"""One person, seed and variant of `biotrain evaluate ablation`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from biotrain.evaluate.job import FORMAT, read_result
from biotrain.evaluate.stream_job import STREAM_CODE
from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key
from biotrain.pretrain.run import OtherPeople
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import open_dataset


@dataclass(frozen=True, slots=True)
class AblationJob:
    """All variants of one person and seed: some are measured against the first. Small and picklable."""

    data: Path
    subject: str
    seed: int
    variants: tuple[str, ...]
    training: TrainingSettings
    results: Path
    cache: Path

    @property
    def name(self) -> str:
        return f"ablation {self.subject} seed {self.seed}"

    def path(self, variant: str) -> Path:
        words = re.sub(r"\W+", "-", variant).strip("-")
        return self.results / "ablation" / f"{self.subject}-seed{self.seed}-{words}.json"

    def key(self, variant: str) -> str:
        from biotrain.evaluate.ablation import VARIANTS

        dataset = open_dataset(self.data)
        return cache_key(
            {
                "others": OtherPeople(dataset, self.subject).identity(),
                "own": {str(n): path.stat().st_size for n, path in dataset.sessions(self.subject).items()},
                "training": self.training.model_dump(mode="json"),
                "seed": self.seed,
                "variant": repr(VARIANTS[variant]),
            },
            (*STREAM_CODE, *TRAINING_CODE, *COMPILING_CODE, "biotrain/evaluate/ablation_job.py"),
        )


def run_ablation_job(job: AblationJob) -> None:
    """Runs the variants that have no result yet."""
    missing = [v for v in job.variants if read_result(job.path(v), job.key(v)) is None]
    if not missing:
        return
    from biotrain.evaluate.ablation import FAULT, FAULT_FIRST, FAULT_LAST, VARIANTS, Ungated
    from biotrain.evaluate.prepared import prepare
    from biotrain.evaluate.stream import run_stream
    from biotrain.evaluate.stream_job import calibration_part, quiet, settings_of
    from biotrain.evaluate.tuned import pack_values
    from schemas.plan import read_plan
    from schemas.weights import Origin, Weights

    quiet()
    dataset = open_dataset(job.data)
    prepared = prepare(
        dataset, job.subject, job.seed, job.training, ("full", "last-layer", "norm-only"), job.cache
    )  # fmt: skip
    taught, _, later = calibration_part(dataset, job.subject)
    for name in missing:
        variant = VARIANTS[name]
        plan = prepared.plans[variant.mode]
        weights = Weights(read_plan(plan).hash, 1, pack_values(plan, prepared.values), Origin.PRETRAINED).pack()
        changes = dict(variant.settings)
        if changes.get("energy_mj_per_day") == "half":
            whole = read_result(job.path("agent (default)"), job.key("agent (default)"))
            assert whole is not None, "the default comes first"
            changes["energy_mj_per_day"] = whole["energy_mj"] / 2
        sessions, clean = list(later), np.ones(sum(map(len, later)), bool)
        if variant.spoilt:
            random = np.random.default_rng(job.seed)
            sessions = [FAULT.spoil(session, FAULT_FIRST, FAULT_LAST, random) for session in later]
            at = 0
            for session in later:
                clean[at + FAULT_FIRST : at + FAULT_LAST] = False
                at += len(session)
        streamed = run_stream(
            plan,
            weights,
            [taught, *sessions],
            "agent",
            settings_of(job.seed).model_copy(update=changes),
            variant.policy,
            quality=None if variant.gate else Ungated(later[0].channels),
        )
        right = np.asarray(streamed.labels) == np.asarray(streamed.predicted)
        phases = [a["phase"] for a in streamed.adaptations if a["window"] >= streamed.starts[0]]
        result = {
            "format": FORMAT,
            "key": job.key(name),
            "subject": job.subject,
            "seed": job.seed,
            "variant": name,
            "accuracy": float(right[clean].mean()),
            "alerts": len(streamed.alerts),
            "faults": len([fault for fault in streamed.faults if fault["active"]]),
            "committed": phases.count("committed"),
            "rolled_back": phases.count("rolled_back"),
            "fit_steps": streamed.fit_steps,
            "energy_mj": streamed.energy_mj,
        }
        write_whole(job.path(name), json.dumps(result).encode())


def read_ablations(jobs: Sequence[AblationJob]) -> list[dict[str, Any]]:
    """Results that are there, of jobs as they are set today."""
    found = []
    for job in jobs:
        found += [r for v in job.variants if (r := read_result(job.path(v), job.key(v))) is not None]
    return found
