"""A recording that is not as it should be is refused with file, field and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import RecordingError, load_recording, parse_sessions
from schemas.errors import UserError

Fields = dict[str, Any]


def fields(session: int = 1, rate: float = 100.0) -> Fields:
    rng = np.random.default_rng(session)
    return {
        "x": rng.integers(-1000, 1000, (12, 3, 50)).astype(np.int16),
        "scale": np.array([0.5, 0.25, 1.0], np.float32),
        "unit": np.array("uV"),
        "y": (np.arange(12) % 2).astype(np.int8),
        "fs": np.array(rate),
        "classes": np.array(["rest", "grip"]),
        "ch_names": np.array(["a", "b", "c"]),
        "subject": np.array("P1"),
        "session": np.array(session),
        "onset_s": np.arange(12, dtype=np.float32),
    }


def write(folder: Path, changed: Fields, name: str = "P1_session1.npz") -> Path:
    np.savez(folder / name, **changed)
    return folder / name


def test_values_are_counts_times_scale(tmp_path: Path) -> None:
    recording = load_recording(write(tmp_path, fields()))
    assert recording.values[3, 1, 7] == pytest.approx(recording.counts[3, 1, 7] * 0.25)
    assert (recording.subject, recording.session, recording.samples, len(recording)) == ("P1", 1, 50, 12)


@pytest.mark.parametrize("missing", ["x", "scale", "y", "fs", "classes", "ch_names", "subject", "session"])
def test_a_missing_field_is_named(tmp_path: Path, missing: str) -> None:
    changed = fields()
    del changed[missing]
    with pytest.raises(RecordingError, match=rf"P1_session1\.npz: field '{missing}': is missing"):
        load_recording(write(tmp_path, changed))


@pytest.mark.parametrize(
    ("field", "change", "says"),
    [
        ("x", lambda v: v[0], r"shape \[3, 50\]"),
        ("x", lambda v: v.astype(np.float32), "dtype float32; expected int16"),
        ("x", lambda v: v[:, :, :0], "none of them 0"),
        ("scale", lambda v: v[:2], r"expected \[3\]"),
        ("scale", lambda v: np.array([1, np.nan, 1], np.float32), "nan for channel 1"),
        ("scale", lambda v: np.array([1, 1, np.inf], np.float32), "inf for channel 2"),
        ("scale", lambda v: np.array([0, 1, 1], np.float32), "above 0"),
        ("y", lambda v: v + 1, r"is 2 in trial 1; expected 0 to 1 \(rest, grip\)"),
        ("y", lambda v: v[:5], r"expected \[12\]"),
        ("y", lambda v: v.astype(float), "float64"),
        ("fs", lambda v: np.array(0.0), "sampling rate"),
        ("fs", lambda v: np.array(np.nan), "sampling rate"),
        ("fs", lambda v: np.array([1.0, 2.0]), "one number"),
        ("classes", lambda v: v[:1], "two names"),
        ("ch_names", lambda v: v[:2], r"expected \[3\]"),
        ("onset_s", lambda v: v[:2], "12"),
        ("subject", lambda v: np.array("P2"), "file's name"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(
    tmp_path: Path, field: str, change: Callable[[Any], Any], says: str
) -> None:
    changed = fields()
    changed[field] = change(changed[field])
    with pytest.raises(RecordingError, match=says) as caught:
        load_recording(write(tmp_path, changed))
    assert caught.value.field == field


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, fields())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"P1_session1\.npz: not a readable"):
        load_recording(path)


def test_sessions_of_different_rates_do_not_make_one_stream(tmp_path: Path) -> None:
    write(tmp_path, fields())
    write(tmp_path, fields(2, rate=200.0), "P1_session2.npz")
    with pytest.raises(RecordingError, match=r"P1_session2\.npz: field 'fs': is 200.0; expected 100.0"):
        open_dataset(tmp_path).load_sessions("P1", [1, 2])


def test_who_or_what_is_not_there_is_answered_with_what_is(tmp_path: Path) -> None:
    write(tmp_path, fields())
    with pytest.raises(UserError, match="nobody named 'P9': choose one of P1"):
        open_dataset(tmp_path).load_sessions("P9")
    with pytest.raises(UserError, match="no session 7: choose among 1"):
        open_dataset(tmp_path).load_sessions("P1", [7])
    with pytest.raises(UserError, match="no such folder"):
        open_dataset(tmp_path / "nowhere").load_sessions("P1")


def test_ranges_of_sessions() -> None:
    assert parse_sessions("2-4,7") == [2, 3, 4, 7]
    for wrong in ("", "a", "4-2", "1,1", "1-"):
        with pytest.raises(UserError, match="sessions"):
            parse_sessions(wrong)
