"""Newcomers, the guard and the ablation: their sums, and one person of each through the real thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.ablation import VARIANTS
from biotrain.evaluate.guard_job import KINDS, GuardJob, labels_of, parts, read_guard, run_guard_job
from biotrain.evaluate.newcomer_job import NewcomerJob, losers, read_newcomers, run_newcomer_job
from biotrain.evaluate.run_ablation import ablation_row, ablation_table
from biotrain.evaluate.run_guard import guard_table, summarize_guard
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.summary import binomial_interval
from biotrain.pretrain.settings import TrainingSettings
from device_agent.drift.registry import ERROR_DETECTORS
from device_agent.sources.dataset import open_dataset

QUICK = TrainingSettings(model="epidenet-short", epochs=2)


@pytest.mark.parametrize(
    ("events", "runs", "low", "high"), [(0, 200, 0.0, 0.0183), (4, 210, 0.0052, 0.0481), (5, 5, 0.4782, 1.0)]
)
def test_the_binomial_interval_is_clopper_and_pearsons(events: int, runs: int, low: float, high: float) -> None:
    assert binomial_interval(events, runs) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))
    assert binomial_interval(0, 0) == (0.0, 1.0)


def run(kind: str, commits: int, before: int, after: int) -> dict[str, object]:
    return {"kind": kind, "commits": commits, "before": before, "after": after, "unseen": 50, "true_labels": 0.5}


def test_a_harmful_commit_is_one_after_which_fewer_unseen_windows_are_right() -> None:
    runs = [
        run("good", 3, 20, 40), run("good", 1, 20, 19), run("shuffled", 0, 20, 20), run("shuffled", 1, 20, 20),
    ]  # fmt: skip
    good, everything = summarize_guard(runs, "good"), summarize_guard(runs, None)
    assert (good["runs"], good["harmful"], good["with_commits"]) == (2, 1, 2)
    assert (everything["runs"], everything["share"]) == (4, 0.25)
    assert everything["gain"] == pytest.approx((20 - 1) / 200)
    assert everything["worst"] == pytest.approx(-0.02)
    assert "| shuffled |" in guard_table([summarize_guard(runs, "shuffled")])


def test_labels_of_the_guards_study_are_what_they_are_called(small_set: Path) -> None:
    dataset = open_dataset(small_set)
    day = dataset.load("sim1", 2)
    seen, hidden = parts(day)
    assert sorted([*seen, *hidden]) == list(range(len(day)))
    random = np.random.default_rng(0)
    good, shuffled, wrong = (labels_of(kind, dataset, "sim1", day, random) for kind in KINDS)
    assert np.array_equal(good, day.labels)
    assert sorted(shuffled) == sorted(day.labels)
    assert not np.array_equal(shuffled, day.labels)
    assert any(np.array_equal(wrong, dataset.load(other, 2).labels) for other in ("sim2", "sim3"))


def test_people_who_lose_more_than_one_window_are_named() -> None:
    summary = {
        "subjects": {
            "A": {"none": {"accuracy": 0.5, "windows": 20}, "full": {"accuracy": 0.45, "windows": 20}},
            "B": {"none": {"accuracy": 0.5, "windows": 20}, "full": {"accuracy": 0.44, "windows": 20}},
        }
    }
    assert losers(summary, "full") == ["B"]


def test_every_detector_has_a_row_in_the_ablation() -> None:
    assert {f"detector {name}" for name in ERROR_DETECTORS if name != "page-hinkley"} <= set(VARIANTS)


def test_an_ablation_compares_within_people() -> None:
    def row(variant: str, subject: str, accuracy: float) -> dict[str, object]:
        counts = dict.fromkeys(("alerts", "faults", "committed", "rolled_back", "fit_steps", "energy_mj"), 2)
        return {"variant": variant, "subject": subject, "accuracy": accuracy, **counts}

    results = [
        row("agent (default)", "A", 0.9), row("agent (default)", "B", 0.5),
        row("no replay", "A", 0.8), row("no replay", "B", 0.4),
    ]  # fmt: skip
    found = ablation_row(results, "no replay")
    assert found["difference"]["mean"] == pytest.approx(-0.1)
    assert found["difference"]["std"] == pytest.approx(0.0)
    assert "-10.0" in ablation_table([ablation_row(results, "agent (default)"), found])


@pytest.mark.slow
def test_a_newcomer_is_aligned_taught_and_guarded_on_the_device(small_set: Path, cache: Path, tmp_path: Path) -> None:
    methods = ("none", "aligned", "aligned, entropy, guarded", "aligned, norms self-taught", "aligned, full, guarded")
    job = NewcomerJob(small_set, "sim1", 0, methods, QUICK, Tuning(epochs=2), tmp_path, cache)
    run_newcomer_job(job)
    found = {r["mode"]: r for r in read_newcomers([job])}
    assert set(found) == set(methods)
    assert {len(r["sessions"][0]["labels"]) for r in found.values()} == {44}
    assert found["aligned"]["sessions"][0]["predicted"] != found["none"]["sessions"][0]["predicted"]
    if not found["aligned, full, guarded"]["committed"]:
        assert found["aligned, full, guarded"]["sessions"] == found["aligned"]["sessions"]


@pytest.mark.slow
def test_the_guards_study_runs_every_kind_of_labels(small_set: Path, cache: Path, tmp_path: Path) -> None:
    job = GuardJob(small_set, "sim1", 0, 1, QUICK, tmp_path, cache)
    run_guard_job(job)
    found = read_guard([job])
    assert [r["kind"] for r in found] == list(KINDS)
    assert found[0]["true_labels"] == 1.0
    assert all(r["after"] == r["before"] for r in found if not r["commits"])
