"""Continuous recordings that MNE reads (EDF, BDF, GDF, FIF, BrainVision): from events to labelled windows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.sources.quantise import quantised
from device_agent.sources.recording import Recording, RecordingError
from schemas.errors import UserError
from schemas.misspelt import describe

if TYPE_CHECKING:
    from device_agent.sources.dataset import DatasetFile

_VOLT = 107
"""FIFF's unit number, as MNE keeps it for each channel."""
NOT_A_LABEL = ("bad", "edge", "boundary", "new segment")
"""Annotations that begin so mark parts of the signal, not what the person did."""


R = TypeVar("R", bound="Reading")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sliding(_Part):
    """Windows at a fixed pace instead of one for each event; an annotation's class holds for as long as it lasts."""

    hop_s: float = Field(gt=0, description="from one window's start to the next one's")
    no_control: str | None = Field(
        default=None, description="label of windows that no annotation touches; None: left out"
    )


class Reading(_Part):
    """`reading` of a data set whose format is `mne`."""

    resample_hz: float | None = Field(default=None, gt=0, description="polyphase, with an anti-aliasing filter")
    stim_channel: str | None = Field(
        default=None, description="take events from this trigger channel; labels are codes"
    )
    sliding: Sliding | None = None


@dataclass(frozen=True, slots=True)
class _Event:
    """Seconds from the recording's first sample; `length_s` 0 where the file gives none."""

    start_s: float
    length_s: float
    label: str


def read_continuous(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    """Windows as the data set asks for them, cut already. Raises UserError (mostly RecordingError)."""
    reading = reading_of(asked, Reading, path)
    return cut(_open(path), reading, path, subject, session, asked)


def reading_of(asked: DatasetFile, kind: type[R], path: Path) -> R:
    """`reading` of the data set's file. Raises UserError with the field."""
    try:
        return kind.model_validate(asked.reading)
    except ValidationError as error:
        raise UserError(f"{path}: reading.{describe(error, kind)}") from None


def joined(raws: list[Any]) -> Any:
    """Several runs as one recording; where they meet stands an annotation that no window may touch."""
    if len(raws) == 1:
        return raws[0]
    import mne

    return mne.concatenate_raws(raws, verbose="error")


def cut(raw: Any, reading: Reading, path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    """From a continuous recording (mne.io.Raw, loaded) to windows. Raises UserError."""
    events = _events(raw, reading.stim_channel, path)
    channels = _pick(raw, asked.channels, path)
    if reading.resample_hz is not None and reading.resample_hz != raw.info["sfreq"]:
        raw.resample(reading.resample_hz, method="polyphase", verbose="error")
    values, unit = _values(raw, path)
    rate = float(raw.info["sfreq"])
    classes = _classes(events, asked.classes, reading.sliding, path)
    length = _length(events, asked, rate, classes, path)
    if reading.sliding is None:
        windows = _trials(events, classes, asked.window.start_s, rate)
    else:
        windows = _steps(events, classes, values.shape[1], length, rate, reading.sliding)
    bad = _bad(raw, rate, values.shape[1])
    whole = [
        (start, label)
        for start, label in windows
        if start >= 0 and start + length <= values.shape[1] and not bad[start : start + length].any()
    ]
    if not whole:
        raise RecordingError(
            path, "events", f"give no whole window of {length / rate:g} s in {values.shape[1] / rate:g} s",
            "events with room for a window behind them: look at window.start_s and window.length_s",
        )  # fmt: skip
    counts, scale = quantised(values)
    names = list(asked.classes) if asked.classes is not None else sorted(set(classes.values()))
    return Recording(
        counts=np.stack([counts[:, start : start + length] for start, _ in whole]),
        scale=scale,
        labels=np.array([names.index(label) for _, label in whole], np.int64),
        onsets_s=np.array([start / rate for start, _ in whole]),
        classes=tuple(names),
        channels=channels,
        sampling_rate_hz=rate,
        subject=subject,
        session=session,
        unit=unit,
    )


def _open(path: Path) -> Any:
    try:
        import mne
    except ImportError:
        raise UserError(f"{path}: the package mne is needed to read it: pip install 'biotrain[mne]'") from None
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            raw = mne.io.read_raw(path, preload=True, verbose="warning")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such recording: check --data, --subject and --sessions") from None
    except Exception as error:  # MNE's readers raise whatever the format's parser meets
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path}: cannot be read as {path.suffix or 'a recording'} ({type(error).__name__}: {reason}): "
            "copy or export it again"
        ) from None
    _one_rate(raw, path)
    _whole(path)
    for warning in said:
        if "outside data range" in str(warning.message):
            raise RecordingError(path, "annotations", str(warning.message), "annotations within the recording")
    return raw


def _whole(path: Path) -> None:
    """A file of records whose end is missing is read up to there by MNE, with a warning that nobody sees."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return
    with path.open("rb") as file:
        head = file.read(256)
        said, header, channels = int(head[236:244]), int(head[184:192]), int(head[252:256])
        file.seek(256 + 216 * channels)
        samples = sum(int(file.read(8)) for _ in range(channels))
    record = samples * (3 if path.suffix.lower() == ".bdf" else 2)
    there = (path.stat().st_size - header) // record
    if there < said:  # -1: a recorder that was never stopped; what it has written is all there is
        raise RecordingError(
            path, "records", f"are {there} in the file, {said} by its header", "a whole file: copy or export it again"
        )


def _one_rate(raw: Any, path: Path) -> None:
    """EDF lets each channel have a rate of its own; MNE would make samples up for the slower ones without a word."""
    extras = getattr(raw, "_raw_extras", None) or [{}]
    counts = extras[0].get("n_samps") if isinstance(extras[0], dict) else None
    if counts is None or len(counts) < len(raw.ch_names):
        return
    by_name = dict(zip(raw.ch_names, [int(count) for count in counts], strict=False))
    if len(set(by_name.values())) > 1:
        slow = min(by_name, key=lambda name: by_name[name])
        fast = max(by_name.values())
        raise RecordingError(
            path, slow, f"is sampled {fast / by_name[slow]:g} times more slowly than others",
            "one rate: leave it out when exporting, or resample it there",
        )  # fmt: skip


def _events(raw: Any, stim_channel: str | None, path: Path) -> list[_Event]:
    rate = float(raw.info["sfreq"])
    if stim_channel is not None:
        import mne

        if stim_channel not in raw.ch_names:
            raise RecordingError(
                path, "stim_channel", f"the file has no {stim_channel}", f"one of {', '.join(raw.ch_names)}"
            )
        found = mne.find_events(raw, stim_channel, shortest_event=1, initial_event=True, verbose="error")
        return [_Event((int(at) - raw.first_samp) / rate, 0.0, str(code)) for at, _, code in found]
    notes = raw.annotations
    starts = raw.time_as_index(notes.onset, use_rounding=True, origin=notes.orig_time)
    events = [
        _Event(int(start) / rate, float(duration), str(label))
        for start, duration, label in zip(starts, notes.duration, notes.description, strict=True)
        if not str(label).lower().startswith(NOT_A_LABEL)
    ]
    return sorted(events, key=lambda event: event.start_s)


def _bad(raw: Any, rate: float, samples: int) -> npt.NDArray[np.bool_]:
    """Samples that an annotation marks as bad, and the first one behind the place where two runs meet."""
    bad = np.zeros(samples, np.bool_)
    notes = raw.annotations
    starts = raw.time_as_index(notes.onset, use_rounding=True, origin=notes.orig_time)
    for start, duration, label in zip(starts, notes.duration, notes.description, strict=True):
        if str(label).lower().startswith(("bad", "edge")):
            bad[max(int(start), 0) : int(start) + max(round(float(duration) * rate), 1)] = True
    return bad


def _pick(raw: Any, wanted: tuple[str, ...] | None, path: Path) -> tuple[str, ...]:
    """Keeps these channels (all that carry a signal when None), in this order."""
    if wanted is None:
        import mne

        chosen = mne.pick_types(
            raw.info, meg=True, eeg=True, eog=True, ecg=True, emg=True, seeg=True, ecog=True, bio=True
        )
        wanted = tuple(raw.ch_names[index] for index in chosen)
    missing = [name for name in wanted if name not in raw.ch_names]
    if missing or not wanted:
        found = f"the file has {', '.join(raw.ch_names)}"
        raise RecordingError(path, "channels", found, f"{missing[0]!r} among them" if missing else "a signal channel")
    raw.pick(list(wanted))
    raw.reorder_channels(list(wanted))
    return wanted


def _values(raw: Any, path: Path) -> tuple[npt.NDArray[np.float64], str]:
    """[channels, samples]; microvolts where the channels are in volts."""
    values = np.asarray(raw.get_data(verbose="error"), np.float64)
    if not np.isfinite(values).all():
        channel, sample = np.argwhere(~np.isfinite(values))[0]
        raise RecordingError(
            path, raw.ch_names[channel], f"is {values[channel, sample]} at sample {sample}", "finite numbers"
        )
    volts = all(channel["unit"] == _VOLT for channel in raw.info["chs"])
    return (values * 1e6, "uV") if volts else (values, "")


def _classes(
    events: Iterable[_Event], wanted: Mapping[str, tuple[str, ...]] | None, sliding: Sliding | None, path: Path
) -> dict[str, str]:
    """Label in the file -> class."""
    found = {event.label for event in events}
    if wanted is None:
        classes = {label: label for label in sorted(found)}
    else:
        classes = {label: name for name, labels in wanted.items() for label in labels}
        if not found & classes.keys():
            shown = ", ".join(sorted(found)) or "no events at all"
            raise RecordingError(path, "events", f"are {shown}", f"some among {', '.join(classes)}")
    if sliding is not None and sliding.no_control is not None:
        classes.setdefault(sliding.no_control, sliding.no_control)
    if len(set(classes.values())) < 2:
        raise RecordingError(path, "events", f"mean {', '.join(classes.values()) or 'nothing'}", "at least two classes")
    return classes


def _length(events: Iterable[_Event], asked: DatasetFile, rate: float, classes: Mapping[str, str], path: Path) -> int:
    """Samples of a window."""
    if asked.window.length_s is not None:
        return max(round(asked.window.length_s * rate), 1)
    lengths = {event.length_s for event in events if event.label in classes}
    if not lengths or min(lengths) <= 0:
        raise UserError(f"{path}: its events have no duration: give window.length_s in the data set's file")
    return max(round((min(lengths) - max(asked.window.start_s, 0.0)) * rate), 1)


def _trials(events: Iterable[_Event], classes: Mapping[str, str], after_s: float, rate: float) -> list[tuple[int, str]]:
    """Rounded once, so that a window is never more than half a sample off."""
    return [(round((e.start_s + after_s) * rate), classes[e.label]) for e in events if e.label in classes]


def _steps(
    events: Iterable[_Event], classes: Mapping[str, str], samples: int, length: int, rate: float, sliding: Sliding
) -> list[tuple[int, str]]:
    """Windows that lie wholly in one class; those on a border belong to none, and are left out."""
    names = ["", *dict.fromkeys(classes.values())]
    held = np.zeros(samples, np.int64)
    for event in events:
        if event.label in classes:
            first, last = round(event.start_s * rate), round((event.start_s + event.length_s) * rate)
            held[max(first, 0) : max(last, first + 1)] = names.index(classes[event.label])
    if sliding.no_control is not None:
        held[held == 0] = names.index(classes[sliding.no_control])
    windows = []
    for start in range(0, samples - length + 1, max(round(sliding.hop_s * rate), 1)):
        within = held[start]
        if within and (held[start : start + length] == within).all():
            windows.append((start, names[within]))
    return windows
