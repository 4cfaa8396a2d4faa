"""Sensor faults in a real recording, through the whole agent: reported as what they are, and nothing is adapted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from biotrain.evaluate.faults import CLOCK_SCENARIOS, SCENARIOS, Scenario, with_headroom
from biotrain.evaluate.stream import run_stream
from biotrain.pretrain.people import join
from biotrain.pretrain.run import Pretrained, pretrain
from biotrain.pretrain.settings import TrainingSettings
from device_agent.drift.quality import SignalQuality
from device_agent.settings import AgentSettings, FitSettings
from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.timeline import Timeline
from device_agent.sources.window import Window
from schemas.fault import FaultKind

FIRST, LAST = 25, 75
"""Trials of the streamed part that are spoilt; the last one is excluded."""
SHOWN = [s for s in SCENARIOS if not s.needs_waveform and not s.needs_hz]
"""In the envelope of EMG."""
IN_WAVEFORMS = [s for s in SCENARIOS if s not in SHOWN]


@pytest.fixture(scope="module")
def day(repository: Path, recordings: Path) -> list[Recording]:
    """One day of one person in shuffled order, where nothing drifts: to calibrate on, and to stream."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOTRAIN_DATA", str(recordings))
        whole = with_headroom(open_dataset(repository / "datasets/emg_forearm.yaml").load("U1", 1), 2)
    order = np.random.default_rng(3).permutation(len(whole))
    shuffled = whole.chosen(order)
    object.__setattr__(shuffled, "onsets_s", np.sort(whole.onsets_s))
    return [shuffled.part(0, 150), shuffled.part(150)]


@pytest.fixture(scope="module")
def model(day: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return own_model(day[:1], "epidenet-short", tmp_path_factory.mktemp("own"))


def own_model(days: list[Recording], name: str, cache: Path) -> Pretrained:
    """Of the person's own windows: what matters here is that it is right as long as the signal is."""

    class Own:
        def identity(self) -> dict[str, object]:
            return {}

        def load(self) -> object:
            return join(days)

    settings = TrainingSettings(model=name, epochs=25, learning_rate=5e-3)
    return pretrain(Own(), settings, cache)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def eeg(repository: Path, recordings: Path) -> list[Recording]:
    """To calibrate on, and to stream: 16 electrodes with their waveforms, 160 Hz."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOTRAIN_DATA", str(recordings))
        whole = with_headroom(open_dataset(repository / "datasets/eeg_motor.yaml").load("S001", 1))
    return [whole.part(0, 50), whole.part(50)]


@pytest.fixture(scope="module")
def eeg_model(eeg: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return own_model(eeg, "eegnet", tmp_path_factory.mktemp("eeg"))


def spoilt(day: list[Recording], scenario: Scenario) -> list[Recording]:
    return [day[0], scenario.spoil(day[1], FIRST, LAST, np.random.default_rng(0))]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("scenario", SHOWN, ids=lambda scenario: scenario.name)
def test_no_adaptation_starts_and_the_fault_is_reported(
    day: list[Recording], model: Pretrained, scenario: Scenario
) -> None:
    found = run_stream(model.plan, model.weights, spoilt(day, scenario), "agent")
    begun = [fault for fault in found.faults if fault["active"]]
    assert {fault["fault"] for fault in begun} == {scenario.expected}
    assert {channel for fault in begun for channel in fault["channels"]} == {"emg2"}
    assert found.alerts == []
    assert all(adaptation["trigger"] == "calibration" for adaptation in found.adaptations)
    faulty = range(found.starts[0] + FIRST, found.starts[0] + LAST)
    assert [newest for newest, _ in found.fits if newest in faulty] == [], "no fit starts while the fault is there"
    learned = {window for _, windows in found.fits for window in windows}
    assert not learned & set(faulty), "nor learns from faulty windows afterwards"
    begun_first, passed = begun[0]["window"], [fault["window"] for fault in found.faults if not fault["active"]]
    assert begun_first in faulty
    assert max(passed) < faulty.stop + 5


ONE_EPOCH = AgentSettings(calibration=FitSettings(epochs=1, learning_rate=1e-4))
"""The model knows these windows: calibration has nothing to teach."""


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("scenario", IN_WAVEFORMS, ids=lambda scenario: scenario.name)
def test_what_only_a_waveform_shows_is_reported_and_nothing_is_adapted(
    eeg: list[Recording], eeg_model: Pretrained, scenario: Scenario
) -> None:
    first, last = 10, 30
    faulty = [eeg[0], scenario.spoil(eeg[1], first, last, np.random.default_rng(0))]
    found = run_stream(eeg_model.plan, eeg_model.weights, faulty, "agent", ONE_EPOCH)
    begun = [fault for fault in found.faults if fault["active"]]
    assert {fault["fault"] for fault in begun} == {scenario.expected}
    assert begun[0]["window"] in range(found.starts[0] + first, found.starts[0] + last)
    assert found.alerts == []
    assert [newest for newest, _ in found.fits if newest >= found.starts[0]] == []


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "spoil"), CLOCK_SCENARIOS, ids=[name for name, _ in CLOCK_SCENARIOS])
def test_a_clock_that_is_wrong_starts_no_adaptation(
    eeg: list[Recording], eeg_model: Pretrained, monkeypatch: pytest.MonkeyPatch, name: str,
    spoil: Callable[[list[Window], int, int], list[Window]],
) -> None:  # fmt: skip
    told = Timeline.window

    def window(self: Timeline, index: int, time_s: float) -> Window:
        return spoil([told(self, index, time_s)], 0 if index >= 20 else 1, 0)[0]

    monkeypatch.setattr(Timeline, "window", window)
    found = run_stream(eeg_model.plan, eeg_model.weights, eeg, "agent", ONE_EPOCH)
    assert {fault["fault"] for fault in found.faults if fault["active"]} == {FaultKind.CLOCK_GAP}
    assert found.alerts == []
    assert [newest for newest, _ in found.fits if newest >= found.starts[0]] == []


def test_there_are_twelve_scenarios_or_more() -> None:
    assert len(SHOWN) + len(IN_WAVEFORMS) + len(CLOCK_SCENARIOS) >= 12


@pytest.mark.slow
@pytest.mark.data
def test_without_the_gate_the_same_fault_would_have_raised_an_alert(
    day: list[Recording], model: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignalQuality, "check", lambda self, report, window=None: (False, []))
    found = run_stream(model.plan, model.weights, spoilt(day, SHOWN[3]), "never")
    assert found.alerts
