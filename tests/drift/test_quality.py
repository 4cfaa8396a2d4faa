"""Sensor faults are told as what they are when they begin and when they have passed, and are never drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.faults import CLOCK_SCENARIOS, SCENARIOS, Scenario, with_headroom
from device_agent.drift.clock import ClockWatch
from device_agent.drift.figures import figures
from device_agent.drift.quality import FaultChange, SignalQuality
from device_agent.sources.dataset import Dataset, open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window
from device_agent.wearable.api import WindowReport
from schemas.fault import FaultKind


def report(window: int, flat: int = 0, saturated: int = 0) -> WindowReport:
    return WindowReport(window, 0, 0, (1.0, 0.0), 1.0, 0.0, 1, flat_channels=flat, saturated_channels=saturated)


def test_a_clean_window_is_good() -> None:
    assert SignalQuality(("a", "b")).check(report(0)) == (False, [])


def test_one_touch_of_the_converters_end_marks_the_window_and_wakes_nobody() -> None:
    quality = SignalQuality(("a", "b"))
    assert quality.check(report(0, saturated=0b01)) == (True, [])
    assert quality.check(report(1)) == (False, [])


def test_a_flat_channel_is_told_once_by_name_and_again_when_it_is_back() -> None:
    quality = SignalQuality(("a", "b"), persistence=3)
    told = [quality.check(report(w, flat=0b10))[1] for w in range(6)]
    assert [len(changes) for changes in told] == [0, 0, 1, 0, 0, 0]
    assert (told[2][0].kind, told[2][0].active, told[2][0].channels) == (FaultKind.FLAT_LINE, True, ("b",))
    back = [quality.check(report(w))[1] for w in range(6, 12)]
    assert [len(changes) for changes in back] == [0, 0, 1, 0, 0, 0]
    assert back[2][0].active is False


def test_the_figures_of_a_known_window() -> None:
    rate, time_s = 250.0, np.arange(500) / 250.0
    counts = np.zeros((3, 500), np.int16)
    counts[0] = 1000 * np.sin(2 * np.pi * 50 * time_s)
    counts[1] = np.clip(40_000 * np.sin(2 * np.pi * 3 * time_s), -32768, 32767)
    seen = figures(counts, np.array([1.0, 1.0, 0.5], np.float32), rate)
    assert seen.flat[2] == 1.0
    assert seen.railed[1] == pytest.approx(0.39, abs=0.02)  # |sin| above 0.82
    assert seen.clipped[1] >= 15
    assert seen.mains[0] > 5
    assert seen.mains[1] < 2
    assert seen.level[0] == pytest.approx(np.log(1000 / np.sqrt(2)), abs=0.01)


def test_a_reference_outlives_a_restart() -> None:
    windows = noise(40)
    before, after = SignalQuality(("a", "b", "c")), SignalQuality(("a", "b", "c"))
    for window in windows:
        before.learn(window)
    after.restore(before.snapshot())
    assert after.snapshot() == before.snapshot()
    other = SignalQuality(("a", "b"))
    other.restore(before.snapshot())
    assert other.snapshot()["windows"] == 0


def test_a_clock_that_goes_back_or_stands_still_is_told_in_words() -> None:
    clock = ClockWatch()
    assert [clock.check(t) for t in np.arange(0.0, 20.0, 2.0)] == [""] * 10
    assert "no window for 600" in clock.check(618.0)
    assert clock.check(620.0) == ""
    assert "went back by 100" in clock.check(520.0)


def noise(count: int, seed: int = 0) -> list[Window]:
    rng = np.random.default_rng(seed)
    mixed = np.einsum("oc,nct->not", [[1, 0.5, 0.2], [0.5, 1, 0.5], [0.2, 0.5, 1]], rng.normal(0, 900, (count, 3, 256)))
    scale = np.ones(3, np.float32)
    return [Window(i, mixed[i].astype(np.int16), scale, 256.0, 2.0 * i) for i in range(count)]


def run(
    recordings: list[Recording], spoil: Callable[[list[Window]], list[Window]] = lambda windows: windows
) -> tuple[int, list[FaultChange]]:
    """The first recording is learned from; faulty windows and reports of the others."""
    quality, timeline = SignalQuality(recordings[0].channels), Timeline(recordings)
    windows = [timeline.window(i, timeline.end_s(i)) for i in range(len(timeline))]
    first = len(recordings[0])
    for window in windows[:first]:
        quality.learn(window)
    faulty, told = 0, []
    for window in spoil(windows[first:]):
        low, high = window.counts.min(axis=1), window.counts.max(axis=1)
        flat, railed = low == high, (low == -32768) | (high == 32767)
        marks = [sum(1 << int(c) for c in np.flatnonzero(flagged)) for flagged in (flat, railed)]
        bad, changes = quality.check(report(window.id, *marks), window)
        faulty, told = faulty + bad, told + changes
    return faulty, told


def sessions(dataset: Dataset, subject: str) -> list[Recording]:
    found = [with_headroom(r, 2 if dataset.file.name == "emg_forearm" else 8) for r in dataset.load_sessions(subject)]
    return found if len(found) > 1 else [found[0].part(0, 50), found[0].part(50)]


@pytest.fixture(params=["emg_forearm", "eeg_ssvep", "eeg_motor"])
def dataset(
    request: pytest.FixtureRequest, repository: Path, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> Dataset:
    monkeypatch.setenv("BIOTRAIN_DATA", str(recordings))
    return open_dataset(repository / "datasets" / f"{request.param}.yaml")


@pytest.mark.data
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_fault_in_a_real_recording_is_reported_as_what_it_is(dataset: Dataset, scenario: Scenario) -> None:
    subject = dataset.subjects[0]
    first, second, *_ = sessions(dataset, subject)
    if first.sampling_rate_hz < scenario.needs_hz or (scenario.needs_waveform and dataset.file.name == "emg_forearm"):
        return  # an envelope at 100 Hz does not show it
    begin, end = len(second) // 3, 2 * len(second) // 3
    faulty, told = run([first, scenario.spoil(second, begin, end, np.random.default_rng(0))])
    assert {change.kind for change in told if change.active} == {scenario.expected}
    assert faulty >= 0.45 * (end - begin)


@pytest.mark.data
@pytest.mark.parametrize(("name", "spoil"), CLOCK_SCENARIOS, ids=[name for name, _ in CLOCK_SCENARIOS])
def test_a_clock_that_is_wrong_is_reported_as_that(
    dataset: Dataset, name: str, spoil: Callable[..., list[Window]]
) -> None:
    first, second, *_ = sessions(dataset, dataset.subjects[0])
    _, told = run([first, second], lambda windows: spoil(windows, len(windows) // 3, 0))
    assert {change.kind for change in told if change.active} == {FaultKind.CLOCK_GAP}


@pytest.mark.slow
@pytest.mark.data
def test_recordings_of_other_days_are_not_faulty(dataset: Dataset) -> None:
    """An amplifier with room above the signal; all people of the small sets, two of the large one."""
    windows, faults, told = 0, 0, Counter[FaultKind]()
    for subject in dataset.subjects[: 2 if dataset.file.name == "emg_forearm" else None]:
        found = sessions(dataset, subject)[:4]
        faulty, changes = run(found)
        windows, faults = windows + sum(map(len, found[1:])), faults + faulty
        told.update(change.kind for change in changes if change.active)
    assert faults <= 0.02 * windows
    assert sum(told.values()) <= windows / 1000, told
