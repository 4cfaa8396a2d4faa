"""A folder of EDF files that nobody has described: what it holds, and a data set file that reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from biotrain.cli import main
from device_agent.sources.dataset import open_dataset

pyedflib = pytest.importorskip("pyedflib")
pytest.importorskip("mne")

RATE, CUES = 100, 12


def run(words: list[str]) -> int:
    """The command's exit code."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def edf(path: Path, channels: tuple[str, ...] = ("C3", "C4"), rate: int = RATE, length_s: float = 2.0) -> None:
    """Noise, and cues of two kinds, four seconds from one to the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyedflib.EdfWriter(str(path), len(channels), file_type=pyedflib.FILETYPE_EDFPLUS) as file:
        for index, name in enumerate(channels):
            file.setSignalHeader(
                index,
                {
                    "label": name, "dimension": "uV", "sample_frequency": rate, "physical_max": 200.0,
                    "physical_min": -200.0, "digital_max": 32767, "digital_min": -32768, "transducer": "",
                    "prefilter": "",
                },
            )  # fmt: skip
        for cue in range(CUES):
            file.writeAnnotation(2.0 + 4 * cue, length_s, ("Left hand", "Right hand")[cue % 2])
        file.writeAnnotation(1.0, 0.1, "cough")
        rng = np.random.default_rng(len(path.name))
        file.writeSamples([rng.normal(0, 20, 54 * rate) for _ in channels])


def folder(tmp_path: Path) -> Path:
    for who in ("anna", "bert"):
        for day in (1, 2):
            edf(tmp_path / "mine" / who / f"day{day}.edf")
    return tmp_path / "mine"


def test_a_drafted_file_reads_the_folder_it_was_drafted_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder(tmp_path)
    assert run(["data", str(mine), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] is None
    assert not (mine / "dataset.yaml").exists()  # looking changes nothing
    assert [(row["subject"], row["session"]) for row in said["sessions"]] == [
        ("anna", 1), ("anna", 2), ("bert", 1), ("bert", 2),
    ]  # fmt: skip

    assert run(["data", str(mine), "--write"]) == 0
    assert "Left hand" in capsys.readouterr().out
    recording = open_dataset(mine).load("anna", 2)
    assert recording.classes == ("left_hand", "right_hand")
    assert "  # cough: 4 events, in 4 of 4 recordings\n" in (mine / "dataset.yaml").read_text()
    assert run(["data", str(mine), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["sessions"]
    assert all(row["windows"] == {"left_hand": CUES / 2, "right_hand": CUES / 2} for row in rows)
    assert rows[0]["samples"] == 2 * RATE
    assert rows[0]["channels"] == ["C3", "C4"]


def test_channels_in_common_the_lowest_rate_and_events_without_duration(tmp_path: Path) -> None:
    mine = folder(tmp_path)
    edf(mine / "cleo" / "day1.edf", ("C4", "ECG", "C3"), rate=200, length_s=-1)
    assert run(["data", str(mine), "--write"]) == 0
    dataset = open_dataset(mine)
    assert dataset.file.channels == ("C3", "C4")
    assert dataset.file.reading == {"resample_hz": RATE}
    assert dataset.load("cleo", 1).sampling_rate_hz == RATE


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder(tmp_path)
    assert run(["data", str(mine), "--write"]) == 0
    (mine / "bert" / "day2.edf").write_bytes(b"no EDF at all")
    capsys.readouterr()
    assert run(["data", str(mine)]) == 0
    out = capsys.readouterr().out
    assert "anna" in out
    assert f"left out: {mine / 'bert' / 'day2.edf'}: cannot be read" in out.replace("\n", "")


def test_a_class_that_no_recording_has_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = folder(tmp_path)
    assert run(["data", str(mine), "--write"]) == 0
    text = (mine / "dataset.yaml").read_text()
    (mine / "dataset.yaml").write_text(text.replace("  # class: [labels", "\n  jump: [hop]  # class: [labels", 1))
    capsys.readouterr()
    assert run(["data", str(mine)]) == 0
    assert "jump: no recording has a window of it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda mine: None, "holds no recordings"),
        (
            lambda mine: edf(mine / "x.edf", ("C3",)) or (mine / "x.edf").write_bytes(b"x" * 300),
            "x.edf: cannot be read",
        ),
        (lambda mine: (edf(mine / "a" / "1.edf"), edf(mine / "b.edf"), edf(mine / "c" / "d" / "e.edf")), "rename them"),
        (lambda mine: (edf(mine / "a1.edf", ("C3",)), edf(mine / "b1.edf", ("O1",))), "no channel in common"),
    ],
)
def test_a_folder_that_cannot_be_described_says_why(tmp_path, capsys, make, message: str) -> None:  # type: ignore[no-untyped-def]
    mine = tmp_path / "mine"
    mine.mkdir()
    make(mine)
    assert run(["data", str(mine)]) == 2
    assert message in capsys.readouterr().err


def test_evaluate_without_a_data_set_file_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder(tmp_path)
    assert run(["evaluate", "day1", "--data", str(mine)]) == 2
    assert f"`biotrain data {mine} --write`" in capsys.readouterr().err


def test_two_files_of_one_session_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = folder(tmp_path)
    (mine / "dataset.yaml").write_text("format: mne\npattern: '{subject}/*.edf'\n")
    assert run(["data", str(mine)]) == 2
    said = capsys.readouterr().err
    for words in ("day1.edf", "day2.edf"):
        assert words in said
    assert "both session 1 of anna" in said
