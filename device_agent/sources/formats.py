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

Finder = Callable[["DatasetFile", Path], dict[str, dict[int, Path]]]


def _npz(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    return load_recording(path)


def _mne(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    from device_agent.sources.mne_files import read_continuous

    return read_continuous(path, subject, session, asked)


def _bids(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    from device_agent.sources.bids import read_bids

    return read_bids(path, subject, session, asked)


def _moabb(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    from device_agent.sources.moabb_sets import read_moabb

    return read_moabb(path, subject, session, asked)


def _find_bids(asked: DatasetFile, folder: Path) -> dict[str, dict[int, Path]]:
    from device_agent.sources.bids import find_bids

    return find_bids(asked, folder)


def _find_moabb(asked: DatasetFile, folder: Path) -> dict[str, dict[int, Path]]:
    from device_agent.sources.moabb_sets import find_moabb

    return find_moabb(asked, folder)


READERS: dict[str, Reader] = {"npz": _npz, "mne": _mne, "bids": _bids, "moabb": _moabb}
#: Formats that know themselves who is there: subject -> session -> path. Others are found by the names of files.
FINDERS: dict[str, Finder] = {"bids": _find_bids, "moabb": _find_moabb}
CONTINUOUS = frozenset({"mne", "bids", "moabb"})
"""Formats whose reader gives what was asked for itself: it cuts windows around events, also before their onset."""


def reader(name: str) -> Reader:
    """Raises UserError for a format that is not known."""
    if name not in READERS:
        raise UserError(f"format {name!r} is not known: choose one of {', '.join(READERS)}")
    return READERS[name]
