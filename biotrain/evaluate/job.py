"""One person and seed of a study: every mode, each result in a file of its own, so that a study can be continued."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from biotrain.evaluate.settings import StudySettings
from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key
from biotrain.pretrain.run import OtherPeople
from device_agent.sources.dataset import open_dataset

#: What shapes a result beside data and settings. The engine's C is held against torch by tests of its own.
EVALUATING_CODE = (
    "biotrain/evaluate/prepared.py",
    "biotrain/evaluate/protocol.py",
    "biotrain/evaluate/tuned.py",
    "device_agent/sources/split.py",
)
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Job:
    """Small and picklable: it may run in another process, or on another machine with the same files."""

    data: Path
    subject: str
    seed: int
    modes: tuple[str, ...]
    settings: StudySettings
    results: Path
    cache: Path

    def path(self, mode: str) -> Path:
        name = f"{self.subject}-seed{self.seed}-{mode}-{self.settings.engine}.json"
        return self.results / self.settings.study / name


def identity(job: Job) -> str:
    """Changes with everything that the job's results depend on."""
    dataset = open_dataset(job.data)
    return cache_key(
        {
            "others": OtherPeople(dataset, job.subject).identity(),
            "own": {str(n): path.stat().st_size for n, path in dataset.sessions(job.subject).items()},
            "split": dataset.file.split.model_dump(mode="json"),
            "settings": job.settings.model_dump(mode="json"),
            "seed": job.seed,
        },
        (*TRAINING_CODE, *COMPILING_CODE, *EVALUATING_CODE),
    )


def read_result(path: Path, key: str) -> dict[str, Any] | None:
    """None where there is no whole result of just this job."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.get("key") == key and found.get("format") == FORMAT else None


def run_job(job: Job) -> list[str]:
    """Runs the modes that have no result yet; returns their names. torch is imported only if there is one."""
    key = identity(job)
    missing = [mode for mode in job.modes if read_result(job.path(mode), key) is None]
    if not missing:
        return []
    import torch

    from biotrain.evaluate.prepared import prepare
    from biotrain.evaluate.protocol import PROTOCOLS, Start, model_maker

    torch.set_num_threads(1)
    dataset = open_dataset(job.data)
    sessions = dataset.load_sessions(job.subject)
    prepared = prepare(dataset, job.subject, job.seed, job.settings.training, job.modes, job.cache)
    start = Start(
        model_maker(prepared, job.settings.engine), prepared.values, job.settings, dataset.file.split, job.seed
    )
    for mode in missing:
        tested = PROTOCOLS[job.settings.study](sessions, mode, start)
        result = {
            "format": FORMAT,
            "key": key,
            "study": job.settings.study,
            "engine": job.settings.engine,
            "data": dataset.file.name,
            "model": prepared.blank.name,
            "subject": job.subject,
            "seed": job.seed,
            "mode": mode,
            "classes": list(sessions[0].classes),
            "window_s": sessions[0].duration_s,
            "sessions": [asdict(session) for session in tested],
        }
        write_whole(job.path(mode), json.dumps(result).encode())
    return missing
