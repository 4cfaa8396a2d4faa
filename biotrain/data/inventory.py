"""What a data set gives: windows of each class, by person and session, and the files that give none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_agent.sources.dataset import Dataset
from device_agent.sources.recording import Recording
from schemas.errors import UserError


@dataclass(frozen=True, slots=True)
class Session:
    """One file, read as training and evaluation would."""

    subject: str
    session: int
    path: Path
    windows: dict[str, int]
    """By class; empty where the file cannot be used."""
    channels: tuple[str, ...] = ()
    samples: int = 0
    """Of one window, per channel."""
    sampling_rate_hz: float = 0.0
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {"subject": self.subject, "session": self.session, "file": str(self.path)}
        if self.problem:
            return row | {"problem": self.problem}
        return row | {
            "windows": self.windows,
            "channels": list(self.channels),
            "samples": self.samples,
            "sampling_rate_hz": self.sampling_rate_hz,
        }


def look_through(dataset: Dataset, tell: Callable[[int, int], None] = lambda done, of: None) -> list[Session]:
    """Every session of every person, in order. Raises UserError only where nothing is found at all."""
    found = [(who, number, path) for who, sessions in dataset.find().items() for number, path in sessions.items()]
    rows: list[Session] = []
    for who, number, path in found:
        rows.append(_look(dataset, who, number, path))
        tell(len(rows), len(found))
    return rows


def _look(dataset: Dataset, subject: str, session: int, path: Path) -> Session:
    try:
        recording = dataset.read(path, subject, session)
    except UserError as error:
        return Session(subject, session, path, {}, problem=str(error))
    return Session(
        subject,
        session,
        path,
        _count(recording),
        recording.channels,
        recording.samples,
        recording.sampling_rate_hz,
    )


def _count(recording: Recording) -> dict[str, int]:
    counts = np.bincount(recording.labels, minlength=len(recording.classes))
    return dict(zip(recording.classes, map(int, counts), strict=True))
