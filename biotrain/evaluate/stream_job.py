"""One person and seed of `biotrain evaluate stream`, and of `detection`: results in files of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from biotrain.evaluate.job import FORMAT, read_result
from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key
from biotrain.pretrain.run import OtherPeople
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import Dataset, open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.split import split_session
from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.settings import AgentSettings

#: What shapes a stream's course beside data, settings and the model.
STREAM_CODE = (
    "biotrain/evaluate/inside.py",
    "biotrain/evaluate/oracle.py",
    "biotrain/evaluate/stream.py",
    "device_agent/adaptation/*.py",
    "device_agent/agent.py",
    "device_agent/calibration.py",
    "device_agent/drift/*.py",
    "device_agent/settings.py",
    "device_agent/sources/split.py",
    "device_agent/windows.py",
)
TRACE_CODE = ("biotrain/evaluate/traces.py", "biotrain/evaluate/tuned.py", "device_agent/sources/split.py")


EQUAL = "thrifty"
"""The agent with a budget of energy: what the oracle has spent on the same person and seed."""


@dataclass(frozen=True, slots=True)
class StreamJob:
    """Small and picklable."""

    data: Path
    subject: str
    seed: int
    triggers: tuple[str, ...]
    training: TrainingSettings
    results: Path
    cache: Path

    @property
    def name(self) -> str:
        return f"stream {self.subject} seed {self.seed}"

    def path(self, trigger: str) -> Path:
        return self.results / "stream" / f"{self.subject}-seed{self.seed}-{trigger}.json"

    def key(self) -> str:
        return _key(self, (*STREAM_CODE, *TRAINING_CODE, *COMPILING_CODE))


@dataclass(frozen=True, slots=True)
class TraceJob:
    """Small and picklable."""

    data: Path
    subject: str
    seed: int
    training: TrainingSettings
    results: Path
    cache: Path

    @property
    def name(self) -> str:
        return f"traces {self.subject} seed {self.seed}"

    @property
    def path(self) -> Path:
        key = _key(self, (*TRACE_CODE, *TRAINING_CODE, *COMPILING_CODE))
        return self.results / "detection" / f"{self.subject}-seed{self.seed}-{key}.npz"


def _key(job: StreamJob | TraceJob, code: Sequence[str]) -> str:
    dataset = open_dataset(job.data)
    return cache_key(
        {
            "others": OtherPeople(dataset, job.subject).identity(),
            "own": {str(n): path.stat().st_size for n, path in dataset.sessions(job.subject).items()},
            "split": dataset.file.split.model_dump(mode="json"),
            "training": job.training.model_dump(mode="json"),
            "seed": job.seed,
        },
        code,
    )


def run_stream_job(job: StreamJob) -> None:
    """Runs the triggers that have no result yet."""
    from biotrain.evaluate.stream import right_of, run_stream, to_json
    from biotrain.pretrain.run import pretrain

    key = job.key()
    missing = [trigger for trigger in job.triggers if read_result(job.path(trigger), key) is None]
    if not missing:
        return
    quiet()
    dataset = open_dataset(job.data)
    made = pretrain(OtherPeople(dataset, job.subject), job.training.model_copy(update={"seed": job.seed}), job.cache)
    taught, kept, later = calibration_part(dataset, job.subject)
    sessions, settings = [taught, *later], settings_of(job.seed)
    for trigger in missing:
        own, who = settings, trigger
        if trigger == EQUAL:
            oracle = read_result(job.path("oracle"), key)
            if oracle is None:
                raise UserError(f"--triggers: {EQUAL} needs the oracle before it: give never,agent,oracle,{EQUAL}")
            own, who = settings.model_copy(update={"energy_mj_per_day": oracle["energy_mj"]}), "agent"
        streamed = run_stream(made.plan, made.weights, sessions, who, own)  # type: ignore[arg-type]
        result = {
            "format": FORMAT,
            "key": key,
            "data": dataset.file.name,
            "subject": job.subject,
            "seed": job.seed,
            "trigger": trigger,
            "classes": list(sessions[0].classes),
            "window_s": sessions[0].duration_s,
            "first_session": {
                "windows": len(kept),
                "before": right_of(made.plan, streamed.weights_before, kept),
                "after": right_of(made.plan, streamed.weights_after, kept),
            },
            **to_json(streamed),
        }
        write_whole(job.path(trigger), json.dumps(result).encode())


def calibration_part(dataset: Dataset, subject: str) -> tuple[Recording, Recording, list[Recording]]:
    """What is calibrated on, what is kept apart to tell what has been forgotten, and the sessions to stream: the first
    session's last repetitions teach nobody."""
    needs_two_sessions(dataset, subject)
    first, *later = dataset.load_sessions(subject)
    taught, kept = (first.chosen(part) for part in split_session(first, dataset.file.split))
    return taught, kept, later


def needs_two_sessions(dataset: Dataset, subject: str) -> None:
    """Raises UserError."""
    if len(dataset.sessions(subject)) < 2:
        raise UserError(
            f"{subject} has one session, and what a model makes of a later day is asked for: record another one, "
            "leave the person out with --subjects, or run `biotrain evaluate day1`"
        )


def settings_of(seed: int) -> AgentSettings:
    """The agent's defaults, with this seed for the order of windows and for dropout."""
    from device_agent.settings import AgentSettings

    defaults = AgentSettings()
    seeded = {name: getattr(defaults, name).model_copy(update={"seed": 1000 * seed}) for name in ("fit", "calibration")}
    return defaults.model_copy(update=seeded)


def run_trace_job(job: TraceJob) -> None:
    """What a tuned model says before and after each change of day."""
    from biotrain.evaluate.prepared import prepare
    from biotrain.evaluate.settings import Tuning
    from biotrain.evaluate.traces import make_traces, save_traces

    if job.path.is_file():
        return
    dataset = open_dataset(job.data)
    prepared = prepare(dataset, job.subject, job.seed, job.training, ("full",), job.cache)
    sessions = dataset.load_sessions(job.subject)
    save_traces(job.path, make_traces(prepared, sessions, dataset.file.split, Tuning(), job.seed))


def quiet() -> None:
    """The agent's log says nothing below warnings: a study has hundreds of agents."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def read_streams(jobs: Sequence[StreamJob]) -> list[dict[str, Any]]:
    """Results that are there, of jobs as they are set today."""
    found = []
    for job in jobs:
        key = job.key()
        found += [r for trigger in job.triggers if (r := read_result(job.path(trigger), key)) is not None]
    return found


def accuracy(result: dict[str, Any]) -> float:
    """Share of a stream's windows that were predicted right, 0 to 1."""
    return float(np.mean(np.asarray(result["labels"]) == np.asarray(result["predicted"])))
