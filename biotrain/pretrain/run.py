"""From people to plan and weights: what was made before is found again; torch is imported only to make it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from biotrain.files import write_whole
from biotrain.pretrain.cache import COMPILING_CODE, TRAINING_CODE, cache_key, file_digest
from biotrain.pretrain.people import TrainingSet, load_others, people_but, simulate_people
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import SHAPES_TRAINING, Dataset
from schemas.errors import UserError

if TYPE_CHECKING:
    from biotrain.pretrain.training import OnEpoch


class People(Protocol):
    """Whose windows to train on. `identity` must change whenever `load` would give others."""

    def identity(self) -> dict[str, object]: ...

    def load(self) -> TrainingSet: ...


@dataclass(frozen=True, slots=True)
class OtherPeople:
    """Everybody in a data set but one."""

    dataset: Dataset
    left_out: str

    def identity(self) -> dict[str, object]:
        file = self.dataset.file
        files = {
            f"{subject}/{session}": file_digest(path)
            for subject in people_but(self.dataset, self.left_out)
            for session, path in self.dataset.sessions(subject).items()
        }
        # what it is called, where it lies and how sessions are split changes no trained value
        return {"files": files, "asked": file.model_dump(mode="json", include=SHAPES_TRAINING)}

    def load(self) -> TrainingSet:
        return load_others(self.dataset, self.left_out)


@dataclass(frozen=True, slots=True)
class SimulatedPeople:
    """Simulated wearers of an EOG band."""

    seeds: Sequence[int]
    sessions: Sequence[int]
    trials: int

    def identity(self) -> dict[str, object]:
        return {"seeds": list(self.seeds), "sessions": list(self.sessions), "trials": self.trials}

    def load(self) -> TrainingSet:
        return simulate_people(self.seeds, self.sessions, self.trials)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A plan, weights for it, and how they came about."""

    plan: bytes
    weights: bytes
    report: dict[str, Any]
    cached: bool


def pretrain(
    people: People,
    settings: TrainingSettings,
    cache: Path,
    on_epoch: OnEpoch = lambda epoch: None,
) -> Pretrained:
    """Plan and weights for these people and settings; an interrupted run is continued."""
    inputs: dict[str, object] = {"people": people.identity(), "settings": settings.model_dump()}
    stem = cache / cache_key(inputs, (*TRAINING_CODE, *COMPILING_CODE))
    # Apart from the plan, so that a change of the compiler trains nothing anew.
    checkpoint = cache / f"{cache_key(inputs, TRAINING_CODE)}.checkpoint"
    if found := _find(stem):
        return found
    with _claim(checkpoint):
        return _find(stem) or _make(people.load(), settings, stem, checkpoint, on_epoch)


def _make(
    training_set: TrainingSet, settings: TrainingSettings, stem: Path, checkpoint: Path, on_epoch: OnEpoch
) -> Pretrained:
    try:
        from biotrain.pretrain.blank import blank_model
        from biotrain.pretrain.training import train
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError(
            "pre-training needs torch, which is not installed: pip install 'biotrain[torch]' (README: the CPU build)"
        ) from None

    blank = blank_model(training_set, settings)
    inputs = training_set.inputs(blank.preprocessing)
    epochs = train(blank.module, inputs, training_set.labels, settings, checkpoint, on_epoch)
    compiled = blank.compile()
    report = {
        "model": blank.name,
        "norm": settings.norm,
        "people": list(training_set.people),
        "windows": len(training_set.labels),
        "epochs": len(epochs),
        "loss": epochs[-1].loss,
        "accuracy": epochs[-1].accuracy,
        "plan_hash": compiled.hash,
    }
    made = Pretrained(compiled.file, compiled.weights_file(blank.module), report, cached=False)
    write_whole(stem.with_suffix(".plan"), made.plan)
    write_whole(stem.with_suffix(".weights"), made.weights)
    # The report comes last: where it stands, the other two are whole.
    write_whole(stem.with_suffix(".json"), json.dumps(report).encode())
    return made


def _find(stem: Path) -> Pretrained | None:
    if not stem.with_suffix(".json").is_file():
        return None
    try:
        report = json.loads(stem.with_suffix(".json").read_bytes())
        return Pretrained(
            stem.with_suffix(".plan").read_bytes(), stem.with_suffix(".weights").read_bytes(), report, cached=True
        )
    except (OSError, ValueError):
        return None  # somebody has tidied up half of it: make it anew


@contextlib.contextmanager
def _claim(checkpoint: Path) -> Iterator[None]:
    """One at a time for one training: a second run waits for the first, and then finds what it made."""
    import fcntl

    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with checkpoint.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_pretrained(made: Pretrained, folder: Path, name: str) -> tuple[Path, Path]:
    """`NAME.plan` and `NAME.weights` in `folder`."""
    plan, weights = folder / f"{name}.plan", folder / f"{name}.weights"
    write_whole(plan, made.plan)
    write_whole(weights, made.weights)
    return plan, weights
