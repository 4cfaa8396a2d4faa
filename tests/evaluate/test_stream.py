"""The whole agent in one process: deterministic, faster than real time, and an oracle in the monitor's place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from biotrain.evaluate.oracle import AFTER, OracleMonitor
from biotrain.evaluate.stream import run_stream
from biotrain.evaluate.stream_job import StreamJob, read_streams, run_stream_job
from biotrain.evaluate.stream_summary import streams_to_markdown, summarize_streams
from biotrain.pretrain.run import OtherPeople, pretrain
from biotrain.pretrain.settings import TrainingSettings
from device_agent.drift.registry import error_detector
from device_agent.sources.dataset import open_dataset
from device_agent.sources.simulator import SimulatedPerson

QUICK = TrainingSettings(model="epidenet-short", epochs=2)


def test_the_oracle_claims_where_sessions_begin_and_nowhere_else() -> None:
    monitor = OracleMonitor(lambda reference: error_detector("page-hinkley", reference), 0.1)
    monitor.starts = [100, 300]
    claims = [drift for w in range(100, 500) if (drift := monitor.observe(w, w % 2 == 0, 0.5))]
    assert [(c.window, c.since_window) for c in claims] == [(100 + AFTER - 1, 100), (300 + AFTER - 1, 300)]


@pytest.mark.slow
def test_a_stream_that_never_adapts_is_predicted_whole_and_without_training(small_set: Path, cache: Path) -> None:
    dataset = open_dataset(small_set)
    made = pretrain(OtherPeople(dataset, "sim1"), QUICK, cache)
    sessions = dataset.load_sessions("sim1")
    found = run_stream(made.plan, made.weights, sessions, "never")
    assert (len(found.labels), len(found.predicted), found.starts) == (44, 44, [44])
    assert found.labels == list(sessions[1].labels)
    assert found.fit_steps == 0
    assert {newest for newest, _ in found.fits} <= {43}, "calibration before the stream"


@pytest.mark.slow
def test_the_agents_stream_is_the_same_every_time_and_faster_than_the_day(repository: Path) -> None:
    plan = (repository / "biotrain/demo/assets/eog.plan").read_bytes()
    weights = (repository / "biotrain/demo/assets/eog.weights").read_bytes()
    person = SimulatedPerson(1)
    sessions = [person.session(1, 110), person.session(2, 160)]
    began = time.monotonic()
    first = run_stream(plan, weights, sessions, "agent")
    took_s = time.monotonic() - began
    again = run_stream(plan, weights, sessions, "agent")
    assert first.predicted == again.predicted
    assert [a["window"] for a in first.adaptations] == [a["window"] for a in again.adaptations]
    assert first.alerts
    assert first.fit_steps == again.fit_steps > 0
    assert took_s < 160 * 3.0  # seconds of signal


@pytest.mark.slow
def test_stream_results_are_found_again_and_summarised(small_set: Path, cache: Path, tmp_path: Path) -> None:
    job = StreamJob(small_set, "sim1", 0, ("never", "agent"), QUICK, tmp_path, cache)
    run_stream_job(job)
    kept = job.path("never").stat().st_mtime_ns
    run_stream_job(job)
    assert job.path("never").stat().st_mtime_ns == kept
    summary = summarize_streams(read_streams([job]), job.triggers)
    assert summary["subjects"]["sim1"]["never"]["fit_steps"] == 0
    assert "sim1" in streams_to_markdown(summary, job.triggers)
