"""What the header of a continuous recording says: channels, rate, events. The signal itself stays on disk."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_agent.sources.mne_files import NOT_A_LABEL
from schemas.errors import UserError

SUFFIXES = (".edf", ".bdf", ".gdf", ".fif", ".vhdr", ".set", ".cnt")
"""Of continuous recordings, one file for each."""


@dataclass(frozen=True, slots=True)
class Header:
    """Of one file."""

    channels: tuple[str, ...]
    """Those that carry a signal."""
    kinds: frozenset[str]
    """MNE's channel types, as eeg, emg, eog. EDF files mostly call everything eeg."""
    sampling_rate_hz: float
    duration_s: float
    events: Counter[str]
    """How often each label occurs, marks of bad signal left out."""
    shortest_s: Mapping[str, float]
    """Of the durations of a label's events; 0 where the file gives none."""
    pace_s: float
    """The median time from one event to the next; 0 for fewer than two."""
    stim_channel: str | None = None
    """Where the events came from, if not from annotations."""


def read_header(path: Path) -> Header:
    """Raises UserError for a file that MNE cannot read."""
    try:
        import mne
    except ImportError:
        raise UserError(f"{path}: the package mne is needed to read it: pip install 'biotrain[mne]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = mne.io.read_raw(path, preload=False, verbose="error")
    except Exception as error:  # MNE's readers raise whatever the format's parser meets
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {reason})") from None
    chosen = mne.pick_types(raw.info, meg=True, eeg=True, eog=True, emg=True, seeg=True, ecog=True, bio=True)
    notes = [
        (float(onset), float(duration), str(label))
        for onset, duration, label in zip(
            raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
        )
        if not str(label).lower().startswith(NOT_A_LABEL)
    ]
    stim = None
    if not notes:
        stim, notes = _from_trigger(raw)
    onsets = sorted(onset for onset, _, _ in notes)
    return Header(
        channels=tuple(raw.ch_names[index] for index in chosen),
        kinds=frozenset(raw.get_channel_types(picks=chosen)) if len(chosen) else frozenset(),
        sampling_rate_hz=float(raw.info["sfreq"]),
        duration_s=raw.n_times / float(raw.info["sfreq"]),
        events=Counter(label for _, _, label in notes),
        shortest_s={label: min(d for _, d, other in notes if other == label) for _, _, label in notes},
        pace_s=float(np.median(np.diff(onsets))) if len(onsets) > 1 else 0.0,
        stim_channel=stim,
    )


def _from_trigger(raw: object) -> tuple[str | None, list[tuple[float, float, str]]]:
    """The first trigger channel that has events."""
    import mne

    assert isinstance(raw, mne.io.BaseRaw)
    for index in mne.pick_types(raw.info, meg=False, stim=True):
        name = raw.ch_names[index]
        found = mne.find_events(raw, name, shortest_event=1, initial_event=True, verbose="error")
        if len(found):
            rate = float(raw.info["sfreq"])
            return name, [((int(at) - raw.first_samp) / rate, 0.0, str(code)) for at, _, code in found]
    return None, []
