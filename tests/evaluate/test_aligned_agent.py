"""The running agent makes its wearer's spatial filter at calibration, and the device runs with it from then on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.newcomer_job import with_alignment
from biotrain.evaluate.stream import run_stream
from biotrain.evaluate.tuned import unpack_values
from biotrain.pretrain.run import OtherPeople, pretrain
from biotrain.pretrain.settings import TrainingSettings
from device_agent.adaptation.alignment import alignment_of
from device_agent.adaptation.wearer_filter import FILTERS, LEAST, aligned_weights, is_aligned
from device_agent.models.aligned import ALIGNMENT
from device_agent.preprocessing.in_plan import read_preprocessing
from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window
from schemas.plan import read_plan
from schemas.weights import read_weights

QUICK = TrainingSettings(model="epidenet-short", epochs=2)
Files = tuple[bytes, bytes]


@pytest.fixture(scope="module")
def person(small_set: Path) -> list[Recording]:
    return open_dataset(small_set).load_sessions("sim1")


@pytest.fixture(scope="module")
def files(small_set: Path, cache: Path) -> Files:
    made = pretrain(OtherPeople(with_alignment(open_dataset(small_set), "euclidean"), "sim1"), QUICK, cache)
    return made.plan, made.weights


def windows_of(recording: Recording) -> list[Window]:
    timeline = Timeline([recording])
    return [timeline.window(index, timeline.end_s(index)) for index in range(len(timeline))]


def filters_in(plan: bytes, weights: bytes) -> np.ndarray:
    channels = unpack_values(plan, read_weights(weights, read_plan(plan).hash).values)[ALIGNMENT]
    return channels.reshape(len(channels), -1)


@pytest.mark.slow
def test_calibration_aligns_the_network_to_its_wearer(files: Files, person: list[Recording]) -> None:
    plan, weights = files
    assert np.array_equal(filters_in(plan, weights), np.eye(len(person[0].channels)))
    expected = alignment_of(read_preprocessing(plan).apply(person[0].values))
    found = run_stream(plan, weights, person, "never")
    assert np.allclose(filters_in(plan, found.weights_before), expected, rtol=1e-4, atol=1e-5)
    assert filters_in(plan, found.weights_after).tobytes() == filters_in(plan, found.weights_before).tobytes()


@pytest.mark.slow
def test_all_else_stays_and_too_few_windows_or_flat_ones_align_nothing(files: Files, person: list[Recording]) -> None:
    plan, weights = files
    windows = windows_of(person[0])
    after = aligned_weights(plan, weights, windows)
    assert after is not None
    old, new = (unpack_values(plan, read_weights(file, read_plan(plan).hash).values) for file in (weights, after))
    assert {name for name in old if not np.array_equal(old[name], new[name])} == {ALIGNMENT}
    assert read_weights(after).parent_hash == read_weights(weights).hash
    assert aligned_weights(plan, weights, windows[: LEAST - 1]) is None


def test_a_plan_without_filters_is_left_alone(repository: Path, person: list[Recording]) -> None:
    assets = repository / "biotrain/demo/assets"
    plan, weights = (assets / "eog.plan").read_bytes(), (assets / "eog.weights").read_bytes()
    assert FILTERS == ALIGNMENT
    assert not is_aligned(plan)
    assert aligned_weights(plan, weights, windows_of(person[0])) is None
