"""A session of labelled windows on disk, as `device_agent/sources/recording.py` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_agent.recorder.whole_file import whole_file
from device_agent.sources.recording import Recording


def save_session(path: Path, recording: Recording) -> None:
    """Whole or not at all. Raises UserError where it cannot be written."""
    with whole_file(path) as file:
        np.savez(
            file,
            x=recording.counts,
            y=recording.labels.astype(np.int8),
            scale=recording.scale,
            fs=np.float64(recording.sampling_rate_hz),
            ch_names=np.array(recording.channels),
            classes=np.array(recording.classes),
            onset_s=recording.onsets_s,
            subject=np.array(recording.subject),
            session=np.int64(recording.session),
            unit=np.array(recording.unit),
        )
