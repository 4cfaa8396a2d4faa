"""The protocols on the device's engine and in torch; results that are found again; commands that are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.job import Job, read_result, run_job
from biotrain.evaluate.prepared import prepare
from biotrain.evaluate.settings import StudySettings, Tuning
from biotrain.evaluate.study import collect, make_jobs, run_study
from biotrain.evaluate.tuned import InTorch, OnDevice, orders, pack_values, unpack_values
from biotrain.pretrain.settings import TrainingSettings
from device_agent.sources.dataset import open_dataset

QUICK = TrainingSettings(model="epidenet-short", epochs=2)
MODES = ("none", "last-layer", "full")


def study(engine: str = "device", name: str = "day1") -> StudySettings:
    return StudySettings.model_validate(
        {"study": name, "engine": engine, "training": QUICK, "tuning": Tuning(epochs=3)}
    )


def test_device_and_torch_tune_to_the_same_weights(small_set: Path, cache: Path) -> None:
    """Three epochs: in the long run float32 itself drifts, in torch as on the device."""
    prepared = prepare(open_dataset(small_set), "sim1", 0, QUICK, MODES, cache)
    session = open_dataset(small_set).load("sim1", 1)
    for mode in ("last-layer", "full"):
        device = OnDevice(prepared.plans[mode], prepared.values)
        torch = InTorch(prepared.plans[mode], prepared.values, prepared.blank.module, prepared.blank.preprocessing)
        for model in (device, torch):
            model.tune(session, Tuning(epochs=3), 5)
        before, ours, theirs = prepared.values, device.values(), torch.values()
        moved = max(np.abs(ours[name] - before[name]).max() for name in ours)
        apart = max(np.abs(ours[name] - theirs[name]).max() for name in ours)
        assert moved > 0.01
        assert apart < 0.02 * moved
        changed = {name for name in ours if not np.array_equal(ours[name], before[name])}
        assert (changed == {"classify.weight", "classify.bias"}) is (mode == "last-layer")
        device.close()


def test_activations_in_bf16_change_what_is_learned_a_little_and_not_what_is_predicted(
    small_set: Path, cache: Path
) -> None:
    modes = ("full", "full-bf16-all")
    prepared = prepare(open_dataset(small_set), "sim1", 0, QUICK, modes, cache)
    session = open_dataset(small_set).load("sim1", 1)
    wide, narrow = (OnDevice(prepared.plans[mode], prepared.values) for mode in modes)
    assert wide.predict(session) == narrow.predict(session)
    for model in (wide, narrow):
        model.tune(session, Tuning(epochs=3), 5)
    before, exact, rounded = prepared.values, wide.values(), narrow.values()
    moved = max(np.abs(exact[name] - before[name]).max() for name in exact)
    apart = max(np.abs(exact[name] - rounded[name]).max() for name in exact)
    assert 0 < apart < 0.2 * moved
    wide.close()
    narrow.close()


def test_values_go_into_a_plan_and_come_back(small_set: Path, cache: Path) -> None:
    prepared = prepare(open_dataset(small_set), "sim1", 0, QUICK, MODES, cache)
    for plan in prepared.plans.values():
        back = unpack_values(plan, pack_values(plan, prepared.values))
        assert all(np.array_equal(back[name], prepared.values[name]) for name in back)
    assert not np.array_equal(orders(20, 2, 1)[0], orders(20, 2, 1)[1])


def test_a_study_is_run_once_continued_and_the_same_again(
    small_set: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(open_dataset(small_set), [study()], ["sim1"], [0], MODES, tmp_path, cache)
    run_study(jobs)
    first = collect(jobs)
    assert [r["mode"] for r in first] == list(MODES)
    assert {len(r["sessions"][0]["labels"]) for r in first} == {11}  # the last of four repetitions of each class
    again = jobs[0].path("full")
    again.write_text("half of", encoding="utf-8")  # as a full disk leaves it
    kept = jobs[0].path("none").stat().st_mtime_ns
    assert run_job(jobs[0]) == ["full"]
    assert collect(jobs) == first
    assert jobs[0].path("none").stat().st_mtime_ns == kept
    monkeypatch.setattr("biotrain.evaluate.prepared.prepare", None)
    assert run_job(jobs[0]) == []


def test_a_result_of_other_settings_is_not_taken(small_set: Path, cache: Path, tmp_path: Path) -> None:
    jobs = make_jobs(open_dataset(small_set), [study()], ["sim1"], [0], ("none",), tmp_path, cache)
    run_study(jobs)
    other = study().model_copy(update={"tuning": Tuning(epochs=4)})
    changed = Job(jobs[0].data, "sim1", 0, ("none",), other, tmp_path, cache)
    assert collect([changed]) == []
    assert read_result(jobs[0].path("none"), "another key") is None


def test_longitudinal_tests_every_session_but_the_first(small_set: Path, cache: Path, tmp_path: Path) -> None:
    jobs = make_jobs(
        open_dataset(small_set), [study(name="longitudinal")], ["sim2"], [0], ("none", "full"), tmp_path, cache
    )
    run_study(jobs)
    assert [[s["session"] for s in r["sessions"]] for r in collect(jobs)] == [[2], [2]]


@pytest.mark.slow
def test_processes_give_the_same_results_as_one(small_set: Path, cache: Path, tmp_path: Path) -> None:
    found = []
    for workers in (1, 2):
        place = tmp_path / str(workers)
        jobs = make_jobs(open_dataset(small_set), [study()], ["sim1", "sim3"], [0], ("full",), place, cache)
        run_study(jobs, workers=workers)
        found.append(collect(jobs))
    assert found[0] == found[1]
    assert len(found[0]) == 2


@pytest.mark.slow
def test_the_command_prints_one_json_object_and_leaves_tables_and_figures(
    small_set: Path, cache: Path, tmp_path: Path
) -> None:
    words = ["evaluate", "longitudinal", "--data", str(small_set), "--model", "epidenet-short", "--epochs", "3"]
    words += ["--pretrain-epochs", "2", "--jobs", "1", "--out", str(tmp_path), "--cache", str(cache), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "biotrain", *words], capture_output=True, text=True, timeout=170, check=True
    )
    said = json.loads(done.stdout)
    assert set(said["subjects"]) == {"sim1", "sim2", "sim3"}
    assert {"mean", "std"} <= set(said["modes"]["full"])
    assert 0 <= said["subjects"]["sim1"]["full"]["accuracy"] <= 1
    folder = Path(said["files"])
    assert {"table.md", "results.csv", "summary.json", "people.png"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["day1", "--data", "no-such-folder"], "no such folder"),
        (["day1", "--data", "{set}", "--modes", "all"], "--modes: 'all' is not known: choose among none"),
        (["day1", "--data", "{set}", "--modes", "full-bf16", "--engine", "both"], "in bf16 are the device's"),
        (["stream", "--data", "{set}", "--triggers", "me"], "--triggers: 'me' is not known"),
        (["day1", "--data", "{set}", "--subjects", "sim9"], "nobody named 'sim9': choose one of sim1"),
        (["day1", "--data", "{set}", "--model", "nonesuch"], "there is no model 'nonesuch'"),
    ],
)
def test_a_wrong_request_is_answered_with_what_to_do(
    words: list[str], says: str, small_set: Path, tmp_path: Path
) -> None:
    words = [word.replace("{set}", str(small_set)) for word in words]
    command = [sys.executable, "-m", "biotrain", "evaluate", *words, "--out", str(tmp_path), "--cache", str(tmp_path)]
    done = subprocess.run([*command, "--jobs", "1"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
