"""What the guard lets through: the whole agent on a change of day with good and with useless labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from biotrain.evaluate.job import FORMAT, read_result
from biotrain.evaluate.stream_job import STREAM_CODE
from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key
from biotrain.pretrain.run import OtherPeople
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import Dataset, open_dataset
from device_agent.sources.recording import Recording

KINDS = ("good", "shuffled", "wrong person")
STREAMED = 150
"""Windows of the new day whose labels are shown; the rest of the day is not seen by anybody."""


@dataclass(frozen=True, slots=True)
class GuardJob:
    """One person, seed and change of day, with every kind of labels. Small and picklable."""

    data: Path
    subject: str
    seed: int
    session: int
    """The day that is calibrated on; the one that follows is streamed."""
    training: TrainingSettings
    results: Path
    cache: Path

    @property
    def name(self) -> str:
        return f"guard {self.subject} session {self.session} seed {self.seed}"

    def path(self, kind: str) -> Path:
        name = f"{self.subject}-seed{self.seed}-session{self.session}-{kind.replace(' ', '-')}.json"
        return self.results / "guard" / name

    def key(self) -> str:
        dataset = open_dataset(self.data)
        return cache_key(
            {
                "others": OtherPeople(dataset, self.subject).identity(),
                "own": {str(n): path.stat().st_size for n, path in dataset.sessions(self.subject).items()},
                "training": self.training.model_dump(mode="json"),
                "seed": self.seed,
                "session": self.session,
            },
            (*STREAM_CODE, *TRAINING_CODE, *COMPILING_CODE, "biotrain/evaluate/guard_job.py"),
        )


def run_guard_job(job: GuardJob) -> None:
    """Runs the kinds that have no result yet."""
    from biotrain.evaluate.stream import right_of, run_stream
    from biotrain.evaluate.stream_job import needs_two_sessions, quiet
    from biotrain.pretrain.run import pretrain

    key = job.key()
    missing = [kind for kind in KINDS if read_result(job.path(kind), key) is None]
    if not missing:
        return
    quiet()
    dataset = open_dataset(job.data)
    needs_two_sessions(dataset, job.subject)
    made = pretrain(OtherPeople(dataset, job.subject), job.training.model_copy(update={"seed": job.seed}), job.cache)
    numbers = sorted(dataset.sessions(job.subject))
    today = dataset.load(job.subject, job.session)
    tomorrow = dataset.load(job.subject, numbers[numbers.index(job.session) + 1])
    seen, hidden = parts(tomorrow)
    shown, unseen = tomorrow.chosen(seen), tomorrow.chosen(hidden)
    for kind in missing:
        random = np.random.default_rng([job.seed, job.session, KINDS.index(kind)])
        labels = labels_of(kind, dataset, job.subject, tomorrow, random)[seen]
        streamed = run_stream(made.plan, made.weights, [today, replace(shown, labels=labels)], "agent")
        result = {
            "format": FORMAT,
            "key": key,
            "data": dataset.file.name,
            "subject": job.subject,
            "seed": job.seed,
            "session": job.session,
            "kind": kind,
            "true_labels": float(np.mean(labels == shown.labels)),
            "alerts": len(streamed.alerts),
            "commits": sum(
                a["phase"] == "committed" for a in streamed.adaptations if a["window"] >= streamed.starts[0]
            ),
            "fits": sum(newest >= streamed.starts[0] for newest, _ in streamed.fits),
            "unseen": len(unseen),
            "before": right_of(made.plan, streamed.weights_before, unseen),
            "after": right_of(made.plan, streamed.weights_after, unseen),
        }
        write_whole(job.path(kind), json.dumps(result).encode())


def parts(day: Recording) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The windows that are streamed, drawn over the whole day and in recorded order, and those that nobody sees."""
    order = np.random.default_rng([20_262, day.session]).permutation(len(day))
    count = min(STREAMED, 2 * len(day) // 3)
    return np.sort(order[:count]), np.sort(order[count:])


def labels_of(
    kind: str, dataset: Dataset, subject: str, day: Recording, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """good: as recorded; shuffled: the same labels in any order; wrong person: those that somebody else was given at
    the same time of the same day."""
    labels = np.asarray(day.labels)
    if kind == "good":
        return labels
    if kind == "shuffled":
        return random.permutation(labels)
    others = [other for other in dataset.subjects if other != subject and day.session in dataset.sessions(other)]
    foreign = dataset.load(str(random.choice(others)), day.session).labels
    return np.resize(np.asarray(foreign), len(labels))


def read_guard(jobs: Sequence[GuardJob]) -> list[dict[str, Any]]:
    """Results that are there, of jobs as they are set today."""
    found = []
    for job in jobs:
        key = job.key()
        found += [r for kind in KINDS if (r := read_result(job.path(kind), key)) is not None]
    return found
