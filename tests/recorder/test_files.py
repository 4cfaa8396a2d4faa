"""What was streamed, as others read it: MNE and pyEDFlib open it, and it holds the same samples."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from device_agent.recorder.edf import number, record_length
from device_agent.recorder.files import write_recording
from device_agent.recorder.spool import KeptLabel, KeptNote, KeptWindow, Spool, StreamFacts, read_spool
from device_agent.sources.dataset import open_dataset
from device_agent.sources.recording import load_recording
from schemas.errors import UserError

RATE, SAMPLES = 250.0, 500
FACTS = StreamFacts(("C3", "Cz", "EOG links"), SAMPLES, RATE, ("left", "right"), 1.0, "anna b", "uV")
SCALE = np.array([0.0305, 0.1, 0.25], np.float32)


def window(number_: int, start: int, *, scale: np.ndarray = SCALE, sample: int | None = None, **more: object):
    rng = np.random.default_rng(number_)
    counts = rng.integers(-32768, 32768, (3, SAMPLES)).astype(np.int16)
    facts = {"label": number_ % 2, "predicted": 0, "confidence": 0.75, "weights_version": 1, "faulty": False, **more}
    return KeptWindow(
        id=number_, ended_s=1.7e9 + (start + SAMPLES) / RATE, sample=sample, scale=scale, counts=counts, **facts
    )


def spooled(path: Path, *kept: object) -> Path:
    spool = Spool.open(path, FACTS)
    for one in kept:
        {KeptWindow: spool.window, KeptLabel: spool.label, KeptNote: spool.note}[type(one)](one)
    spool.close()
    return path


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Three windows, with a pause before the third, whose label comes late."""
    last = window(2, 1900, label=None, weights_version=2, faulty=True)
    return spooled(
        tmp_path / "s.spool", window(0, 0), window(1, 500), KeptNote(1, "drift since window 0"), last, KeptLabel(2, 1)
    )


@pytest.mark.parametrize("ending", ["edf", "bdf"])
def test_mne_and_pyedflib_read_the_samples_and_the_annotations(spool: Path, tmp_path: Path, ending: str) -> None:
    mne, pyedflib = pytest.importorskip("mne"), pytest.importorskip("pyedflib")
    file = tmp_path / f"kept.{ending}"
    write_recording(spool, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    windows = [one for one in read_spool(spool) if isinstance(one, KeptWindow)]
    raw = (mne.io.read_raw_edf if ending == "edf" else mne.io.read_raw_bdf)(file, verbose="error")
    with pyedflib.EdfReader(str(file)) as reader:
        assert reader.getSignalLabels() == list(FACTS.channels)
        assert reader.getSampleFrequencies().tolist() == [RATE] * 3
        assert reader.getPatientCode() == "anna b"
        for channel in range(3):
            digital = reader.readSignal(channel, digital=True)
            wide = 1 if ending == "edf" else 256
            for one, start in zip(windows, (0, 500, 1900), strict=True):
                np.testing.assert_array_equal(digital[start : start + SAMPLES], one.counts[channel].astype(int) * wide)
        onsets, _, texts = reader.readAnnotations()
    assert raw.ch_names == list(FACTS.channels)
    assert raw.info["sfreq"] == RATE
    values = raw.get_data(units="uV", start=1900, stop=1900 + SAMPLES)
    assert np.abs(values - windows[2].counts * SCALE[:, None]).max() < SCALE.max()
    told = {(round(a["onset"], 3), round(a["duration"], 3), a["description"]) for a in raw.annotations}
    assert told == {
        (0.0, 2.0, "left"), (2.0, 2.0, "right"), (7.6, 2.0, "right"), (7.6, 2.0, "BAD_sensor"),
        (4.0, 3.6, "BAD_gap"), (3.996, 0.0, "drift since window 0"), (9.596, 0.0, "weights 2 serve"),
        (1.996, 0.0, "prediction left 0.75 v1"), (3.996, 0.0, "prediction left 0.75 v1"),
        (9.596, 0.0, "prediction left 0.75 v2"),
    }  # fmt: skip
    assert sorted(texts.tolist()) == sorted(raw.annotations.description)
    assert len(onsets) == 10


def test_what_was_exported_is_read_back_as_a_data_set_with_the_same_windows(spool: Path, tmp_path: Path) -> None:
    pytest.importorskip("mne")
    write_recording(spool, tmp_path / "anna_session1.edf")
    (tmp_path / "dataset.yaml").write_text(
        "format: mne\npattern: '{subject}_session{session}.edf'\nclasses: [left, right]\nwindow: {length_s: 2}\n"
    )
    read = open_dataset(tmp_path).load("anna", 1)
    assert read.labels.tolist() == [0, 1], "the third one had a sensor fault: BAD_sensor"
    windows = [one for one in read_spool(spool) if isinstance(one, KeptWindow)][:2]
    for got, one in zip(read.counts * read.scale[None, :, None], windows, strict=True):
        assert np.abs(got - one.counts * SCALE[:, None]).max() < 2 * SCALE.max()


def test_a_session_holds_the_labelled_windows_and_is_taken_like_any_other(tmp_path: Path) -> None:
    coarse = SCALE * 2
    spool = spooled(
        tmp_path / "s", window(0, 0), window(1, 700, scale=coarse), window(2, 1400, label=None), KeptLabel(1, 0)
    )
    write_recording(spool, tmp_path / "anna_session3.npz")
    read = load_recording(tmp_path / "anna_session3.npz")
    assert (read.subject, read.session, read.labels.tolist()) == ("anna", 3, [0, 0])
    np.testing.assert_allclose(read.onsets_s, [0.0, 2.8], atol=1e-6)
    np.testing.assert_array_equal(read.scale, coarse)
    kept = [one for one in read_spool(spool) if isinstance(one, KeptWindow)]
    np.testing.assert_array_equal(read.counts[1], kept[1].counts)
    assert np.abs(read.counts[0] * coarse[:, None] - kept[0].counts * SCALE[:, None]).max() <= coarse.max() / 2


def test_overlapping_windows_of_a_live_stream_lie_by_their_counted_samples(tmp_path: Path) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    signal = np.random.default_rng(0).integers(-3000, 3000, (3, 2000)).astype(np.int16)
    windows = []
    for number_, start in enumerate((1000, 1100, 1200, 1900)):
        jitter = np.random.default_rng(number_).normal(0, 3)  # samples: stamps are never exact
        cut = signal[:, start - 1000 : start - 500] if start < 1900 else signal[:, 900:1400]
        made = window(number_, round(start + jitter), sample=start)
        windows.append(KeptWindow(**{n: getattr(made, n) for n in KeptWindow.__slots__ if n != "counts"}, counts=cut))
    write_recording(spooled(tmp_path / "s", *windows), tmp_path / "live.bdf")
    with pyedflib.EdfReader(str(tmp_path / "live.bdf")) as reader:
        digital = reader.readSignal(1, digital=True)
    np.testing.assert_array_equal(digital[:700], signal[1, :700].astype(int) * 256)
    np.testing.assert_array_equal(digital[700:900], 0)
    np.testing.assert_array_equal(digital[900:1400], signal[1, 900:1400].astype(int) * 256)


def test_a_cut_spool_goes_on_behind_its_last_whole_record(spool: Path) -> None:
    before = len(list(read_spool(spool)))
    spool.write_bytes(spool.read_bytes()[:-3])
    assert len(list(read_spool(spool))) == before - 1
    again = Spool.open(spool, FACTS)
    again.window(window(3, 2400))
    again.close()
    kept = list(read_spool(spool))
    assert len(kept) == before
    assert isinstance(kept[-1], KeptWindow)
    assert kept[-1].id == 3


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda folder, spool: write_recording(spool, folder / "a.wav"), "a.wav: write a name that ends in .edf, .bdf"),
        (lambda folder, spool: write_recording(spool, folder / "a.npz"), "a session is named SUBJECT_sessionN.npz"),
        (lambda folder, spool: write_recording(spool, folder / "no" / "a.edf"), "the folder .*no does not exist"),
        (lambda folder, spool: write_recording(folder / "none", folder / "a.edf"), "none: cannot be read"),
        (lambda folder, spool: Spool.open(spool, StreamFacts(("C3",), 1, 1.0, ("a", "b"))), "holds another stream"),
    ],
)
def test_what_cannot_be_is_said_with_the_file_and_nothing_is_left(spool: Path, tmp_path: Path, do, said: str) -> None:
    with pytest.raises(UserError, match=said):
        do(tmp_path, spool)
    assert [path.name for path in tmp_path.iterdir()] == ["s.spool"]


def test_a_file_that_is_no_spool_and_one_without_windows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello, this is no spool at all")
    with pytest.raises(UserError, match="x: is no spool of windows"):
        write_recording(tmp_path / "x", tmp_path / "a.edf")
    with pytest.raises(UserError, match="holds no window yet"):
        write_recording(spooled(tmp_path / "empty"), tmp_path / "a.edf")
    with pytest.raises(UserError, match="no window with a label"):
        write_recording(spooled(tmp_path / "u", window(0, 0, label=None)), tmp_path / "a_session1.npz")


def test_records_of_odd_rates_are_whole_and_numbers_fit_the_header() -> None:
    assert record_length(250.0) == (1, 250)
    assert record_length(512.5) == (2, 1025)
    with pytest.raises(ValueError, match="no whole number of samples"):
        record_length(250.00314159)
    assert [number(x) for x in (-1000.4215, 0.0305, 8388607.0)] == ["-1000.42", "0.0305", "8388607"]
    with pytest.raises(ValueError, match="no place"):
        number(-123456789.0)


def test_a_signal_that_is_too_small_for_the_headers_digits_is_refused(tmp_path: Path) -> None:
    volts = spooled(tmp_path / "s", window(0, 0, scale=np.full(3, 1e-9, np.float32)))
    with pytest.raises(UserError, match=r"EDF\+ cannot hold this signal"):
        write_recording(volts, tmp_path / "a.edf")
