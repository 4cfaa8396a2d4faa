"""Folders in BIDS, and MOABB's data sets by name as far as they go without a network."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from device_agent.sources.dataset import open_dataset
from schemas.errors import UserError

mne = pytest.importorskip("mne")
RATE, SECONDS = 250, 30
EVENTS = [(2.0, "left"), (8.0, "right"), (14.0, "left"), (29.0, "right")]
"""The last one's window would reach over the run's end, into the next run."""


def described(folder: Path, text: str) -> Path:
    file = folder / "dataset.yaml"
    file.write_text(text)
    return file


def run(seed: int) -> mne.io.RawArray:
    values = np.random.default_rng(seed).normal(0, 20e-6, (3, RATE * SECONDS))
    raw = mne.io.RawArray(values, mne.create_info(["C3", "Cz", "C4"], RATE, "eeg"), verbose="error")
    raw.info["line_freq"] = 50
    raw.set_annotations(mne.Annotations([at for at, _ in EVENTS], 0.5, [label for _, label in EVENTS]))
    return raw


RUNS = [
    ("anna", "01", "mi", "1"),
    ("anna", "01", "mi", "2"),
    ("anna", "01", "rest", None),
    ("anna", "02", "mi", "1"),
    ("bea", None, "mi", None),
]


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people; anna has two sessions, the first of two runs and of two tasks."""
    mne_bids = pytest.importorskip("mne_bids")
    root = tmp_path_factory.mktemp("bids")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed, (subject, session, task, number) in enumerate(RUNS):
            path = mne_bids.BIDSPath(subject=subject, session=session, task=task, run=number, root=root, datatype="eeg")
            mne_bids.write_raw_bids(
                run(seed), path, format="BrainVision", allow_preload=True, overwrite=True, verbose="error"
            )
    return root


def test_a_bids_folder_gives_everybodys_sessions_with_their_runs_one_behind_the_other(
    bids: Path, tmp_path: Path
) -> None:
    dataset = open_dataset(
        described(
            tmp_path,
            f"format: bids\nfolder: {bids}\nclasses: [left, right]\nwindow: {{length_s: 2}}\nreading: {{task: mi}}\n",
        )
    )
    assert {subject: list(dataset.sessions(subject)) for subject in dataset.subjects} == {"anna": [1, 2], "bea": [1]}
    session = dataset.load("anna", 1)
    assert session.channels == ("C3", "Cz", "C4")
    assert session.labels.tolist() == [0, 1, 0, 0, 1, 0], "no window reaches from one run into the next"
    np.testing.assert_allclose(session.onsets_s, [2, 8, 14, 32, 38, 44])
    for first, seed in ((0, 0), (3, 1)):
        wanted = run(seed).get_data(units="uV")[:, 500:1000]
        assert np.abs(session.values[first] - wanted).max() < 0.05
    assert len(dataset.load("bea", 1)) == 3


def test_a_bids_folder_says_what_is_missing(bids: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no BIDS folder: it has no dataset_description\.json"):
        _ = open_dataset(described(tmp_path, "format: bids\n")).subjects
    several = open_dataset(described(tmp_path, f"format: bids\nfolder: {bids}\nwindow: {{length_s: 2}}\n"))
    with pytest.raises(UserError, match=r"has tasks mi, rest: choose one with reading\.task"):
        several.load("anna", 1)
    typo = open_dataset(described(tmp_path, f"format: bids\nfolder: {bids}\nreading: {{taks: mi}}\n"))
    with pytest.raises(UserError, match=r"reading\.taks: there is no such field: did you mean 'task'"):
        _ = typo.subjects
    other = open_dataset(described(tmp_path, f"format: bids\nfolder: {bids}\nreading: {{datatype: meg}}\n"))
    with pytest.raises(UserError, match=r"holds no sub-\*/ses-\*/meg"):
        _ = other.subjects


MOABB = "format: moabb\nchannels: [C3, Cz, C4]\nreading: {{dataset: {name}}}\n"


@pytest.mark.slow
def test_moabbs_own_data_set_that_needs_no_network_is_read_through_its_loader(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("moabb")
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = "{event_list: [left_hand, right_hand], n_subjects: 2, n_sessions: 2, n_runs: 2, seed: 3}"
    text = MOABB.format(name=f"FakeDataset, arguments: {asked}") + "window: {length_s: 3}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = open_dataset(described(tmp_path, text))
        assert dataset.subjects == ("1", "2")
        assert list(dataset.sessions("1")) == [1, 2]
        session = dataset.load("2", 2)
    assert session.classes == ("left_hand", "right_hand")
    assert session.channels == ("C3", "Cz", "C4")
    assert session.samples == 3 * session.sampling_rate_hz
    assert set(session.labels.tolist()) == {0, 1}


def test_a_data_set_that_cannot_be_fetched_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moabb = pytest.importorskip("moabb")
    monkeypatch.setenv("HOME", str(tmp_path))

    def offline(self: object, subjects: object) -> None:
        raise ConnectionError("Failed to resolve 'lampx.tugraz.at'")

    monkeypatch.setattr(moabb.datasets.BNCI2014_001, "get_data", offline)
    dataset = open_dataset(described(tmp_path, MOABB.format(name="BNCI2014_001")))
    assert len(dataset.subjects) == 9, "who is there is known without a network"
    with pytest.raises(UserError, match=r"subject 3.* could not be fetched .*download\(\[3\]\).*set MNE_DATA"):
        dataset.load("3", 1)


def test_an_unknown_data_set_is_refused_with_those_it_may_mean(tmp_path: Path) -> None:
    pytest.importorskip("moabb")
    with pytest.raises(UserError, match=r"MOABB has no 'BNCI2014001': did you mean .*BNCI2014_001"):
        _ = open_dataset(described(tmp_path, MOABB.format(name="BNCI2014001"))).subjects


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moabb", None)
    monkeypatch.setitem(sys.modules, "moabb.datasets", None)
    with pytest.raises(UserError, match=r"pip install 'biotrain\[moabb\]'"):
        _ = open_dataset(described(tmp_path, MOABB.format(name="BNCI2014_001"))).subjects
