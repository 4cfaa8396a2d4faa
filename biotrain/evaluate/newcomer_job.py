"""One person and seed of `biotrain evaluate newcomer`: every method, each result in a file of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biotrain.evaluate.job import FORMAT, read_result
from biotrain.evaluate.protocol import Tested
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.stream_job import needs_two_sessions
from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key
from biotrain.pretrain.run import OtherPeople
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import Dataset, open_dataset

NEWCOMER_CODE = (
    "biotrain/evaluate/entropy.py",
    "biotrain/evaluate/newcomer.py",
    "biotrain/evaluate/prepared.py",
    "biotrain/evaluate/tuned.py",
    "device_agent/adaptation/alignment.py",
    "device_agent/adaptation/folds.py",
    "device_agent/adaptation/guard.py",
)


@dataclass(frozen=True, slots=True)
class NewcomerJob:
    """Small and picklable."""

    data: Path
    subject: str
    seed: int
    methods: tuple[str, ...]
    training: TrainingSettings
    tuning: Tuning
    results: Path
    cache: Path

    @property
    def name(self) -> str:
        return f"newcomer {self.subject} seed {self.seed}"

    def path(self, method: str) -> Path:
        words = re.sub(r"\W+", "-", method)
        return self.results / "newcomer" / f"{self.subject}-seed{self.seed}-{words}.json"

    def key(self) -> str:
        dataset = open_dataset(self.data)
        return cache_key(
            {
                "others": OtherPeople(dataset, self.subject).identity(),
                "own": {str(n): path.stat().st_size for n, path in dataset.sessions(self.subject).items()},
                "training": self.training.model_dump(mode="json"),
                "tuning": self.tuning.model_dump(mode="json"),
                "seed": self.seed,
            },
            (*TRAINING_CODE, *COMPILING_CODE, *NEWCOMER_CODE),
        )


def with_alignment(dataset: Dataset, alignment: str) -> Dataset:
    """The same recordings, prepared with or without Euclidean alignment."""
    steps = dataset.file.preprocessing.model_copy(update={"alignment": alignment})
    return Dataset(dataset.file.model_copy(update={"preprocessing": steps}), dataset.folder, dataset.place)


def run_newcomer_job(job: NewcomerJob) -> None:
    """Runs the methods that have no result yet. Raises UserError for a person with one session."""
    key = job.key()
    missing = [method for method in job.methods if read_result(job.path(method), key) is None]
    if not missing:
        return
    import torch

    from biotrain.evaluate.newcomer import METHODS, NEEDED_MODES, Newcomer
    from biotrain.evaluate.prepared import prepare

    torch.set_num_threads(1)
    dataset = open_dataset(job.data)
    needs_two_sessions(dataset, job.subject)
    sessions = dataset.load_sessions(job.subject)
    made = [
        prepare(with_alignment(dataset, how), job.subject, job.seed, job.training, NEEDED_MODES, job.cache)
        for how in ("none", "euclidean")
    ]
    who = Newcomer(made[0], made[1], sessions[0], job.tuning, job.seed)
    for method in missing:
        outcome = METHODS[method](who)
        try:
            tested = [
                Tested(session.session, [int(label) for label in session.labels], outcome.model.predict(session))
                for session in sessions[1:]
            ]
        finally:
            outcome.model.close()
        result = {
            "format": FORMAT,
            "key": key,
            "study": "newcomer",
            "engine": "device",
            "data": dataset.file.name,
            "model": made[0].blank.name,
            "subject": job.subject,
            "seed": job.seed,
            "mode": method,
            "committed": outcome.committed,
            "classes": list(sessions[0].classes),
            "window_s": sessions[0].duration_s,
            "sessions": [asdict(session) for session in tested],
        }
        write_whole(job.path(method), json.dumps(result).encode())


def read_newcomers(jobs: Sequence[NewcomerJob]) -> list[dict[str, Any]]:
    """Results that are there, of jobs as they are set today."""
    found = []
    for job in jobs:
        key = job.key()
        found += [r for method in job.methods if (r := read_result(job.path(method), key)) is not None]
    return found


def losers(summary: dict[str, Any], method: str, against: str = "none") -> list[str]:
    """People whose mean over seeds loses more than one test window."""
    lost = []
    for subject, found in summary["subjects"].items():
        if method in found and against in found:
            windows = found[method]["windows"]
            if windows * (found[against]["accuracy"] - found[method]["accuracy"]) > 1.0:
                lost.append(subject)
    return lost
