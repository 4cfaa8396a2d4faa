"""Labels, clocks and sessions that are not as they should be: a clear word, a sane course, no damage to the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.guard_job import GuardJob, run_guard_job
from biotrain.evaluate.newcomer_job import NewcomerJob, run_newcomer_job
from biotrain.evaluate.settings import StudySettings, Tuning
from biotrain.evaluate.stream import Streamed, right_of, run_stream
from biotrain.evaluate.stream_job import calibration_part
from biotrain.evaluate.study import make_jobs
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.simulator import SimulatedPerson
from schemas.errors import UserError

WINDOWS = 88
"""Streamed: four of each class in every half."""


@pytest.fixture(scope="module")
def files(repository: Path) -> tuple[bytes, bytes]:
    assets = repository / "biotrain/demo/assets"
    return (assets / "eog.plan").read_bytes(), (assets / "eog.weights").read_bytes()


@pytest.fixture(scope="module")
def days() -> tuple[Recording, Recording, Recording]:
    """To calibrate on, to stream, and to ask afterwards: the band has been put on anew before the second one."""
    person = SimulatedPerson(1)
    later = person.session(2, 2 * WINDOWS)
    return person.session(1, 110), later.part(0, WINDOWS), later.part(WINDOWS)


def lost(files: tuple[bytes, bytes], found: Streamed, unseen: Recording) -> float:
    """Share of unseen windows that what serves at the end gets wrong, less those that were wrong at the beginning."""
    before, after = (right_of(files[0], weights, unseen) for weights in (found.weights_before, found.weights_after))
    return (before - after) / len(unseen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_shuffled_labels_are_fitted_to_and_refused(
    files: tuple[bytes, bytes], days: tuple[Recording, Recording, Recording], seed: int
) -> None:
    wrong = np.random.default_rng(seed).permutation(days[1].labels)
    found = run_stream(*files, [days[0], replace(days[1], labels=wrong)], "agent")
    assert found.alerts, "who believes the labels sees a model that is wrong"
    assert len(found.fits) > 2, "and tries to mend it"
    assert [a["phase"] for a in found.adaptations if a["window"] >= found.starts[0]].count("committed") == 0
    assert found.weights_after == found.weights_before, "to the last bit"


@pytest.mark.slow
def test_a_stream_of_one_class_does_not_make_the_model_forget_the_others(
    files: tuple[bytes, bytes], days: tuple[Recording, Recording, Recording]
) -> None:
    only = days[1].chosen(np.flatnonzero(days[1].labels == 1))
    again = replace(
        only.chosen(np.tile(np.arange(len(only)), 9)),
        onsets_s=3.0 * np.arange(9 * len(only)),
    )
    found = run_stream(*files, [days[0], again], "agent")
    assert lost(files, found, days[2]) <= 0.05


@pytest.mark.slow
def test_classes_that_come_later_than_the_first_session_are_learned_without_harm(
    files: tuple[bytes, bytes], days: tuple[Recording, Recording, Recording]
) -> None:
    early = days[0].chosen(np.flatnonzero(days[0].labels < 8))
    found = run_stream(*files, [early, days[1]], "agent")
    assert len(found.predicted) == WINDOWS
    assert lost(files, found, days[2]) <= 0.05
    late = {w for _, windows in found.fits[1:] for w in windows if w >= found.starts[0]}
    classes = {found.labels[w - found.starts[0]] for w in late}
    assert not late or classes - set(range(8)), "what is new is learned from"


@pytest.mark.slow
def test_windows_that_stop_for_days_are_a_fault_and_the_stream_goes_on(
    files: tuple[bytes, bytes], days: tuple[Recording, Recording, Recording]
) -> None:
    onsets = days[0].onsets_s.copy()
    onsets[60:] += 2 * 86_400.0
    gap = replace(days[0], onsets_s=onsets)
    found = run_stream(*files, [days[0], gap], "agent")
    assert len(found.predicted) == len(gap)
    assert [(fault["fault"], fault["active"]) for fault in found.faults][:1] == [("clock_gap", True)]
    assert found.alerts == []
    assert len(found.fits) == 1, "calibration alone"


@pytest.mark.slow
def test_a_clock_that_jumps_to_and_fro_starts_no_adaptation(
    files: tuple[bytes, bytes], days: tuple[Recording, Recording, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    from device_agent.sources.timeline import Timeline

    told = Timeline.window

    def jumping(self: Timeline, index: int, time_s: float) -> object:
        return told(self, index, time_s - 3600.0 * (index % 30 >= 25))

    monkeypatch.setattr(Timeline, "window", jumping)
    found = run_stream(*files, [days[0], days[0]], "agent")
    assert "clock_gap" in {fault["fault"] for fault in found.faults}
    assert found.alerts == []
    assert len(found.fits) == 1
    assert len(found.predicted) == len(days[0])


def test_a_person_with_one_session_is_told_what_can_be_done(small_set: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "short"
    shutil.copytree(small_set, folder)
    (folder / "sim1_session2.npz").unlink()
    dataset = open_dataset(folder)
    with pytest.raises(UserError, match="sim1 has one session"):
        calibration_part(dataset, "sim1")
    training = TrainingSettings(epochs=1)
    newcomer = NewcomerJob(folder, "sim1", 0, ("none",), training, Tuning(epochs=1), tmp_path, tmp_path)
    with pytest.raises(UserError, match="sim1 has one session"):
        run_newcomer_job(newcomer)
    with pytest.raises(UserError, match="sim1 has one session"):
        run_guard_job(GuardJob(folder, "sim1", 0, 1, training, tmp_path, tmp_path))
    settings = StudySettings.model_validate({"study": "longitudinal", "training": training})
    with pytest.raises(UserError, match=r"sim1 has one session.*day1"):
        make_jobs(dataset, [settings], ["sim1"], [0], ("none",), tmp_path, tmp_path)
