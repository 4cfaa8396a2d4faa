"""File formats by name: to add one, write a reader and add one line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from device_agent.sources.recording import Recording, load_recording
from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.sources.dataset import DatasetFile

#: path, subject and session (as the file's name says), what the data set asks for -> the recording, which may still
#: hold more channels, classes and seconds than were asked for. Imports of heavy packages belong inside.
Reader = Callable[[Path, str, int, "DatasetFile"], Recording]


def _npz(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    return load_recording(path)


def _mne(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    from device_agent.sources.mne_files import read_continuous

    return read_continuous(path, subject, session, asked)


READERS: dict[str, Reader] = {"npz": _npz, "mne": _mne}
CONTINUOUS = frozenset({"mne"})
"""Formats whose reader gives what was asked for itself: it cuts windows around events, also before their onset."""


def reader(name: str) -> Reader:
    """Raises UserError for a format that is not known."""
    if name not in READERS:
        raise UserError(f"format {name!r} is not known: choose one of {', '.join(READERS)}")
    return READERS[name]
