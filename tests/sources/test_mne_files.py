"""Real files, written by other programs, read back to the windows that went into them."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import Recording, RecordingError
from schemas.errors import UserError

mne = pytest.importorskip("mne")
pyedflib = pytest.importorskip("pyedflib")

RATE, SECONDS = 250, 40
CHANNELS = ("C3", "Cz", "C4", "EOG")
#: onset (s), duration (s), label; the first one has a window that begins before the recording.
EVENTS = [(0.2, 2.0, "left"), (4.0, 2.0, "right"), (9.5, 2.0, "left"), (15.0, 2.0, "blink"), (20.004, 2.0, "right")]
EVENTS += [(30.0, 2.0, "left")]
TRIALS = [(4.0, "right"), (9.5, "left"), (20.004, "right"), (30.0, "left")]
MOST_UV = 400.0
#: A step of a 16-bit file, and half a step of the int16 that the wearable is given.
STEP_UV, HALF_UV = 2 * MOST_UV / 65_534, 0.5 * 200 / 32_766


def signal() -> np.ndarray:
    """Microvolts [4, samples], each channel of its own frequency and offset."""
    time_s = np.arange(RATE * SECONDS) / RATE
    rng = np.random.default_rng(1)
    return np.stack(
        [80 * np.sin(2 * np.pi * (3 + 4 * c) * time_s) + 20 * c + rng.normal(0, 10, len(time_s)) for c in range(4)]
    )


def as_edf(path: Path, kind: int = pyedflib.FILETYPE_EDFPLUS, digital: int = 32767) -> None:
    with pyedflib.EdfWriter(str(path), len(CHANNELS), file_type=kind) as file:
        for index, name in enumerate(CHANNELS):
            file.setSignalHeader(
                index,
                {
                    "label": name, "dimension": "uV", "sample_frequency": RATE, "physical_max": MOST_UV,
                    "physical_min": -MOST_UV, "digital_max": digital, "digital_min": -digital, "transducer": "",
                    "prefilter": "",
                },
            )  # fmt: skip
        for onset_s, duration_s, label in EVENTS:
            file.writeAnnotation(onset_s, duration_s, label)
        file.writeSamples(list(signal()))


def as_bdf(path: Path) -> None:
    as_edf(path, pyedflib.FILETYPE_BDFPLUS, 8_388_607)


def as_raw() -> mne.io.RawArray:
    info = mne.create_info(list(CHANNELS), RATE, ["eeg", "eeg", "eeg", "eog"])
    raw = mne.io.RawArray(signal() * 1e-6, info, verbose="error")
    return raw.set_annotations(mne.Annotations(*zip(*EVENTS, strict=True)))


def as_fif(path: Path) -> None:
    as_raw().save(path, verbose="error")


def as_brainvision(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mne.export.export_raw(path, as_raw(), fmt="brainvision", verbose="error")


#: GDF knows events by numbers: these are its cues of motor imagery.
GDF_CODES = {"left": 769, "right": 770, "blink": 771}


def as_gdf(path: Path) -> None:
    """Version 1.25, as its specification lays it out; one record a second, int16, event table of mode 3."""
    n, counts = len(CHANNELS), np.rint(signal() / STEP_UV).astype("<i2")
    head = b"GDF 1.25" + b"X ann".ljust(80) + bytes(80) + b"2026010203040500"
    head += struct.pack("<q24s20xqIII", 256 * (n + 1), bytes(24), SECONDS, 1, 1, n)
    each = [
        b"".join(name.encode().ljust(16, b"\0") for name in CHANNELS),
        bytes(80 * n),
        b"uV".ljust(8, b"\0") * n,
        struct.pack(f"<{n}d", *[-MOST_UV] * n),
        struct.pack(f"<{n}d", *[MOST_UV] * n),
        struct.pack(f"<{n}q", *[-32_767] * n),
        struct.pack(f"<{n}q", *[32_767] * n),
        bytes(80 * n),
        struct.pack(f"<{n}i", *[RATE] * n),
        struct.pack(f"<{n}i", *[3] * n),
        bytes(32 * n),
    ]
    records = counts.reshape(n, SECONDS, RATE).transpose(1, 0, 2).tobytes()
    places = [round(onset * RATE) + 1 for onset, _, _ in EVENTS]
    table = bytes([3]) + RATE.to_bytes(3, "little") + struct.pack("<I", len(EVENTS))
    table += struct.pack(f"<{len(EVENTS)}I", *places)
    table += struct.pack(f"<{len(EVENTS)}H", *(GDF_CODES[label] for _, _, label in EVENTS))
    table += struct.pack(f"<{len(EVENTS)}H", *[0] * len(EVENTS))
    table += struct.pack(f"<{len(EVENTS)}I", *(round(duration * RATE) for _, duration, _ in EVENTS))
    path.write_bytes(head + b"".join(each) + records + table)


#: file name -> writer, largest error (microvolts), label prefix of the format
FORMATS: dict[str, tuple[Callable[[Path], None], float, str]] = {
    "ann_day1.edf": (as_edf, STEP_UV + HALF_UV, ""),
    "ann_day1.bdf": (as_bdf, STEP_UV / 256 + HALF_UV, ""),
    "ann_day1_raw.fif": (as_fif, HALF_UV + 1e-4, ""),
    "ann_day1.gdf": (as_gdf, 0.5 * STEP_UV + HALF_UV, ""),
    "ann_day1.vhdr": (as_brainvision, 0.11, "Comment/"),
}


def described(folder: Path, pattern: str, more: str = "", prefix: str = "") -> Path:
    text = f"""
name: test
format: mne
pattern: "{pattern}"
channels: [Cz, C3]
classes: {{L: ["{prefix}left"], R: ["{prefix}right"]}}
window: {{start_s: -0.5, length_s: 2.0}}
{more}
"""
    (folder / "dataset.yaml").write_text(text)
    return folder


def truth(onset_s: float) -> np.ndarray:
    start = round((onset_s - 0.5) * RATE)
    return signal()[[1, 0], start : start + 2 * RATE]


@pytest.mark.parametrize("name", list(FORMATS))
def test_windows_are_what_was_written_within_the_formats_resolution(name: str, tmp_path: Path) -> None:
    write, resolution, prefix = FORMATS[name]
    write(tmp_path / name)
    pattern = name.replace("ann", "{subject}").replace("1", "{session}")
    folder = described(tmp_path, pattern, prefix=prefix)
    if write is as_gdf:
        text = (folder / "dataset.yaml").read_text()
        for label, code in GDF_CODES.items():
            text = text.replace(f'"{label}"', f'"{code}"')
        (folder / "dataset.yaml").write_text(text)
    recording = open_dataset(folder).load("ann", 1)
    assert recording.classes == ("L", "R")
    assert recording.channels == ("Cz", "C3")
    assert recording.sampling_rate_hz == RATE
    assert recording.unit == "uV"
    assert [(recording.classes[label]) for label in recording.labels] == [label[0].upper() for _, label in TRIALS]
    np.testing.assert_allclose(recording.onsets_s, [onset - 0.5 for onset, _ in TRIALS], atol=0.5 / RATE)
    for window, (onset_s, _) in zip(recording.values, TRIALS, strict=True):
        assert np.abs(window - truth(onset_s)).max() <= resolution


def test_an_agents_source_takes_them_as_any_other(tmp_path: Path) -> None:
    from device_agent.sources.registry import SourceOptions, open_source

    as_edf(tmp_path / "ann_day1.edf")
    as_edf(tmp_path / "ann_day2.edf")
    material = open_source(
        "recordings",
        SourceOptions(data=described(tmp_path, "{subject}_day{session}.edf"), subject="ann", calibrate_session=1),
    )
    assert material.calibration is not None
    assert material.layout is not None
    assert (len(material.calibration), material.layout.samples, material.layout.classes) == (4, 2 * RATE, ("L", "R"))


def test_sliding_windows_lie_wholly_in_one_class_and_the_rest_is_no_control(tmp_path: Path) -> None:
    as_edf(tmp_path / "ann_day1.edf")
    more = "reading: {sliding: {hop_s: 0.5, no_control: idle}}"
    text = (described(tmp_path, "{subject}_day{session}.edf", more) / "dataset.yaml").read_text()
    text = text.replace("start_s: -0.5, length_s: 2.0", "length_s: 1.0").replace("classes: {", "classes: {N: [idle], ")
    (tmp_path / "dataset.yaml").write_text(text)
    recording = open_dataset(tmp_path).load("ann", 1)
    found = {
        round(onset, 3): recording.classes[label]
        for onset, label in zip(recording.onsets_s, recording.labels, strict=True)
    }
    assert {onset: name for onset, name in found.items() if 3.0 <= onset <= 6.5} == {
        3.0: "N", 4.0: "R", 4.5: "R", 5.0: "R", 6.0: "N", 6.5: "N"
    }  # fmt: skip
    # 15 to 17 s is a blink: of no class, so it counts as no control
    assert found[15.5] == "N"


def test_resampling_keeps_events_in_their_place(tmp_path: Path) -> None:
    as_edf(tmp_path / "ann_day1.edf")
    folder = described(tmp_path, "{subject}_day{session}.edf", "reading: {resample_hz: 125}")
    recording = open_dataset(folder).load("ann", 1)
    assert recording.counts.shape == (4, 2, 250)
    # the 3 Hz of C3, away from the filter's edges
    expected = truth(9.5)[1][::2]
    alike = {lag: np.corrcoef(recording.values[1, 1, 5:-5], np.roll(expected, lag)[5:-5])[0, 1] for lag in range(-3, 4)}
    assert max(alike, key=lambda lag: alike[lag]) == 0
    assert alike[0] > 0.95, "the noise above half the new rate is gone"


def test_events_may_come_from_a_trigger_channel(tmp_path: Path) -> None:
    raw = as_raw()
    codes = np.zeros((1, RATE * SECONDS))
    for onset_s, _, label in EVENTS:
        at = round(onset_s * RATE)
        codes[0, at : at + 5] = {"left": 1, "right": 2, "blink": 3}[label]
    info = mne.create_info(["STI 014"], RATE, ["stim"])
    raw.add_channels([mne.io.RawArray(codes, info, verbose="error")], force_update_info=True)
    raw.set_annotations(None)
    raw.save(tmp_path / "ann_day1_raw.fif", verbose="error")
    folder = described(tmp_path, "{subject}_day{session}_raw.fif", "reading: {stim_channel: STI 014}")
    text = (folder / "dataset.yaml").read_text().replace('["left"]', '["1"]').replace('["right"]', '["2"]')
    (folder / "dataset.yaml").write_text(text)
    recording: Recording = open_dataset(folder).load("ann", 1)
    np.testing.assert_allclose(recording.onsets_s, [onset - 0.5 for onset, _ in TRIALS], atol=1 / RATE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[Cz, C3]", "[Cz, Oz]"), r"ann_day1.edf: field 'channels': the file has C3, .*; expected 'Oz' among them"),
        (('["left"]', '["hand"]'), None),
        (
            ('L: ["left"], R: ["right"]', 'L: ["a"], R: ["b"]'),
            r"'events': are blink, left, right; expected some among a, b",
        ),
        (("length_s: 2.0", "length_s: 60.0"), r"'events': give no whole window of 60 s in 40 s"),
        (
            ("format: mne", "format: mne\nreading: {hop: 1}"),
            r"reading.hop: there is no such field: there are resample_hz, stim_channel, sliding",
        ),
        (("format: mne", "format: mne\nreading: {stim_channel: STI}"), r"'stim_channel': the file has no STI"),
    ],
)
def test_what_does_not_fit_is_said_with_file_and_field(
    change: tuple[str, str], said: str | None, tmp_path: Path
) -> None:
    as_edf(tmp_path / "ann_day1.edf")
    folder = described(tmp_path, "{subject}_day{session}.edf")
    text = (folder / "dataset.yaml").read_text()
    assert change[0] in text
    (folder / "dataset.yaml").write_text(text.replace(*change))
    if said is None:
        assert set(open_dataset(folder).load("ann", 1).labels) == {1}, "a class that this session lacks is no error"
        return
    with pytest.raises(UserError, match=said):
        open_dataset(folder).load("ann", 1)


def test_a_damaged_file_is_told_by_name(tmp_path: Path) -> None:
    as_edf(tmp_path / "ann_day1.edf")
    whole = (tmp_path / "ann_day1.edf").read_bytes()
    (tmp_path / "ann_day1.edf").write_bytes(b"x" * 100 + whole[100:300])
    with pytest.raises(UserError, match=r"ann_day1.edf: cannot be read as .edf .*copy or export it again"):
        open_dataset(described(tmp_path, "{subject}_day{session}.edf")).load("ann", 1)


@pytest.mark.parametrize(("write", "suffix"), [(as_edf, "edf"), (as_bdf, "bdf")])
def test_a_file_that_was_cut_on_the_way_is_told_with_what_is_missing(write, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"ann_day1.{suffix}"
    write(file)
    whole = file.read_bytes()
    dataset = open_dataset(described(tmp_path, "{subject}_day{session}." + suffix))
    assert len(dataset.load("ann", 1).labels) == len(TRIALS)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match=r"'records': are (19|20) in the file, 40 by its header; expected a whole"):
        dataset.load("ann", 1)
    # a recorder that was never stopped does not know how many there are
    file.write_bytes(whole[:236] + b"-1      " + whole[244:])
    assert len(dataset.load("ann", 1).labels) == len(TRIALS)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    raw = as_raw()
    raw._data[1, 77] = np.nan
    raw.save(tmp_path / "ann_day1_raw.fif", verbose="error")
    with pytest.raises(RecordingError, match="'Cz': is nan at sample 77"):
        open_dataset(described(tmp_path, "{subject}_day{session}_raw.fif")).load("ann", 1)
