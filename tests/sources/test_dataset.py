"""A data set's file: what it asks for is what every part sees, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biotrain.pretrain.filters import average_reference, design
from biotrain.pretrain.people import join
from device_agent.sources.dataset import Dataset, Filter, Split, Steps, open_dataset
from device_agent.sources.recording import Recording
from device_agent.sources.split import split_session
from schemas.errors import UserError


def save(folder: Path, session: int = 1, subject: str = "P1", trials: int = 24) -> Path:
    rng = np.random.default_rng(session)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject}_session{session}.npz"
    np.savez(
        path,
        x=rng.integers(-1000, 1000, (trials, 3, 100)).astype(np.int16), scale=np.array([0.5, 0.25, 1], np.float32),
        y=(np.arange(trials) % 3).astype(np.int8), fs=100.0, classes=np.array(["rest", "left", "right"]),
        ch_names=np.array(["a", "b", "c"]), subject=subject, session=session,
        posture=np.arange(trials) // 12, rep=np.arange(trials) % 12 // 3,
    )  # fmt: skip
    return path


def opened(folder: Path, text: str) -> Dataset:
    (folder / "set.yaml").write_text(text, encoding="utf-8")
    return open_dataset(folder / "set.yaml")


def test_channels_classes_and_window_are_those_that_the_file_asks_for(tmp_path: Path) -> None:
    save(tmp_path / "in")
    whole = open_dataset(tmp_path / "in").load("P1", 1)
    asked = opened(
        tmp_path,
        "folder: in\nchannels: [c, a]\nclasses: {move: [left, right], rest: rest}\n"
        "window: {start_s: 0.2, length_s: 0.5}",
    ).load("P1", 1)
    assert (asked.channels, asked.classes, asked.samples) == (("c", "a"), ("move", "rest"), 50)
    np.testing.assert_array_equal(asked.counts, whole.counts[:, [2, 0], 20:70])
    np.testing.assert_array_equal(asked.values[0], whole.values[0][[2, 0], 20:70])
    assert list(asked.labels[:4]) == [1, 0, 0, 1]
    assert asked.onsets_s[0] == pytest.approx(whole.onsets_s[0] + 0.2)


def test_trials_of_classes_that_are_not_asked_for_are_left_out_with_their_fields(tmp_path: Path) -> None:
    save(tmp_path)
    asked = opened(tmp_path, "classes: [right, left]").load("P1", 1)
    assert len(asked) == 16
    assert asked.classes == ("right", "left")
    assert {len(values) for values in asked.fields.values()} == {16}
    assert list(asked.labels[:2]) == [1, 0]


def test_files_are_found_by_pattern_and_people_can_be_chosen(tmp_path: Path) -> None:
    for subject in ("P1", "P2"):
        save(tmp_path / "day" / subject, 3, subject)
    found = opened(tmp_path, 'folder: day\npattern: "P{subject}/P1_session{session}.npz"').find()
    assert found == {"1": {3: tmp_path / "day" / "P1" / "P1_session3.npz"}}
    (tmp_path / "P").mkdir()
    chosen = opened(
        tmp_path, 'folder: day\npattern: "{subject}/{subject_}_session{session}.npz"'.replace("{subject_}", "P2")
    )
    assert chosen.subjects == ("P2",)


def test_the_folder_may_stand_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "here")
    assert opened(tmp_path, "folder: ${BT_NOWHERE:-here}").subjects == ("P1",)
    with pytest.raises(UserError, match="no BT_NOWHERE"):
        opened(tmp_path, "folder: ${BT_NOWHERE}")
    monkeypatch.setenv("BT_NOWHERE", str(tmp_path / "here"))
    assert opened(tmp_path, "folder: ${BT_NOWHERE}").subjects == ("P1",)


def test_a_folder_with_a_dataset_file_in_it_is_described_by_that(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "dataset.yaml").write_text("channels: [b]", encoding="utf-8")
    assert open_dataset(tmp_path).load("P1", 1).channels == ("b",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chanels: [a]", "chanels: there is no such field: did you mean 'channels'"),
        ("- a", "expected a data set"),
        ("a: [", "not a readable YAML"),
        ("pattern: x.npz", "must hold {subject} once"),
        ("classes: [rest]", "at least two"),
        ("preprocessing: {filters: [{kind: bandpass, low_hz: 3}]}", "takes low_hz and high_hz"),
        ("preprocessing: {filters: [{kind: bandpass, low_hz: 30, high_hz: 3}]}", "30 is not below"),
        ("split: {test_share: 1.5}", "split.test_share"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        opened(tmp_path, text)
    assert "set.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("channels: [a, z]", "has no z"),
        ("classes: [hop, jump]", "are rest, left, right"),
        ("window: {start_s: 0.8, length_s: 0.5}", "trials of 1 s"),
        ("format: tape", "format 'tape' is not known: choose one of npz"),
    ],
)
def test_what_a_recording_does_not_have_is_named(tmp_path: Path, text: str, says: str) -> None:
    save(tmp_path)
    with pytest.raises(UserError, match=says):
        opened(tmp_path, text).load("P1", 1)


def test_the_last_repetitions_of_each_class_in_each_posture_test(tmp_path: Path) -> None:
    save(tmp_path)
    recording = open_dataset(tmp_path).load("P1", 1)
    train, test = split_session(recording, Split(test_share=0.25, repetition="rep", strata=("posture",)))
    assert sorted([*train, *test]) == list(range(24))
    assert list(test) == [9, 10, 11, 21, 22, 23]  # repetition 3 of every class, in both postures


def test_windows_of_one_repetition_never_stand_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    many = Recording(
        counts=np.zeros((60, 1, 4), np.int16), scale=np.ones(1, np.float32), labels=np.arange(60) // 5 % 2,
        onsets_s=np.arange(60.0), classes=("a", "b"), channels=("x",), sampling_rate_hz=4.0, subject="P", session=1,
        fields={"rep": np.arange(60) // 5},
    ).chosen(rng.permutation(60))  # fmt: skip
    train, test = split_session(many, Split(repetition="rep"))
    assert not set(many.fields["rep"][train]) & set(many.fields["rep"][test])
    assert set(many.labels[test]) == {0, 1}


def test_a_split_by_a_field_that_is_not_there_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(UserError, match="names field 'run', trials have posture, rep"):
        split_session(open_dataset(tmp_path).load("P1", 1), Split(repetition="run"))


def test_filters_become_the_plans_sections(tmp_path: Path) -> None:
    from scipy import signal

    save(tmp_path)
    filters = (
        Filter(kind="bandpass", low_hz=8, high_hz=30),
        Filter(kind="notch", low_hz=25, quality=10),
        Filter(kind="highpass", low_hz=1, order=3),
    )
    steps = Steps(reference="average", filters=filters, scale="none", logarithm="never")
    training_set = join([open_dataset(tmp_path).load("P1", 1)], steps)
    x = training_set.windows.astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    for b, a in (
        signal.butter(2, [8, 30], "bandpass", fs=100),
        signal.iirnotch(25, 10, fs=100),
        signal.butter(3, 1, "highpass", fs=100),
    ):
        x = signal.lfilter(b, a, x)
    got = training_set.preprocessing().apply(training_set.windows)
    np.testing.assert_allclose(got, x, atol=1e-3 * np.abs(x).max())


def test_a_filter_beyond_the_signal_is_refused() -> None:
    with pytest.raises(UserError, match="ends at 50 Hz"):
        design([Filter(kind="lowpass", high_hz=60)], 100.0)
    assert average_reference(4).sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "people", "shape"),
    [("emg_forearm", 5, (4, 200, 6)), ("eeg_ssvep", 9, (8, 640, 3)), ("eeg_motor", 1, (16, 560, 2))],
)
def test_the_projects_own_sets_open(
    repository: Path, recordings: Path, name: str, people: int, shape: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("BIOTRAIN_DATA", str(recordings))
    dataset = open_dataset(repository / "datasets" / f"{name}.yaml")
    first = dataset.load_sessions(dataset.subjects[0])[0]
    assert len(dataset.subjects) == people
    assert (len(first.channels), first.samples, len(first.classes)) == shape
    train, test = split_session(first, dataset.file.split)
    assert set(first.labels[train]) == set(first.labels[test])
