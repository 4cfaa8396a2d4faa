"""A recording in the shape that a data set asks for: its channels, its classes, its part of each trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from device_agent.sources.formats import CONTINUOUS
from device_agent.sources.recording import Recording, RecordingError

if TYPE_CHECKING:
    from device_agent.sources.dataset import DatasetFile


def shaped(recording: Recording, asked: DatasetFile, path: Path) -> Recording:
    """Raises RecordingError where the recording does not have what is asked for."""
    if asked.format in CONTINUOUS:
        return recording
    if asked.channels is not None:
        recording = _channels(recording, asked.channels, path)
    if asked.classes is not None:
        recording = _classes(recording, {name: tuple(labels) for name, labels in asked.classes.items()}, path)
    if asked.window.start_s or asked.window.length_s is not None:
        recording = _part(recording, asked.window.start_s, asked.window.length_s, path)
    return recording


def _channels(recording: Recording, wanted: tuple[str, ...], path: Path) -> Recording:
    missing = [name for name in wanted if name not in recording.channels]
    if missing:
        raise RecordingError(path, "ch_names", f"has no {missing[0]}", f"channels among {', '.join(wanted)}")
    order = [recording.channels.index(name) for name in wanted]
    counts = np.ascontiguousarray(recording.counts[:, order])
    return replace(recording, counts=counts, scale=recording.scale[order], channels=wanted)


def _classes(recording: Recording, wanted: dict[str, tuple[str, ...]], path: Path) -> Recording:
    means = {label: index for index, labels in enumerate(wanted.values()) for label in labels}
    new = np.array([means.get(name, -1) for name in recording.classes], np.int64)
    if not (new >= 0).any():
        found = ", ".join(recording.classes)
        raise RecordingError(path, "classes", f"are {found}", f"labels among {', '.join(means)}")
    labels = new[recording.labels]
    return replace(recording.chosen(labels >= 0), labels=labels[labels >= 0], classes=tuple(wanted))


def _part(recording: Recording, start_s: float, length_s: float | None, path: Path) -> Recording:
    first = round(start_s * recording.sampling_rate_hz)
    last = recording.samples if length_s is None else first + round(length_s * recording.sampling_rate_hz)
    if not 0 <= first < last <= recording.samples:
        end_s = start_s + (recording.duration_s if length_s is None else length_s)
        raise RecordingError(
            path, "x", f"has trials of {recording.duration_s:g} s", f"room for a window from {start_s:g} to {end_s:g} s"
        )
    counts = np.ascontiguousarray(recording.counts[:, :, first:last])
    return replace(recording, counts=counts, onsets_s=recording.onsets_s + start_s)
