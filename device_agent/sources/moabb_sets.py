"""Data sets of MOABB by name (https://moabb.neurotechx.com): fetched once by MOABB, then read from its folder."""

from __future__ import annotations

import difflib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from device_agent.sources.mne_files import Reading, cut, joined, reading_of
from device_agent.sources.recording import Recording
from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.sources.dataset import DatasetFile


class MoabbReading(Reading):
    """`reading` of a data set whose format is `moabb`."""

    dataset: str = Field(min_length=1, description="MOABB's name: BNCI2014_001, Kalunga2016, ...")
    arguments: dict[str, Any] = Field(default={}, description="of its constructor")


def find_moabb(asked: DatasetFile, folder: Path) -> dict[str, dict[int, Path]]:
    """Subject -> session -> a name for messages: MOABB knows where the files are. Needs no network."""
    reading = reading_of(asked, MoabbReading, folder)
    known = _dataset(reading, folder)
    sessions = range(1, int(known.n_sessions) + 1)
    place = Path(f"moabb:{reading.dataset}")
    return {
        str(subject): {number: place / f"subject {subject}" / f"session {number}" for number in sessions}
        for subject in known.subject_list
    }


def read_moabb(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    """All runs of a session, one behind the other. Raises UserError, also where nothing can be fetched."""
    reading = reading_of(asked, MoabbReading, path)
    known = _dataset(reading, path)
    person = next(one for one in known.subject_list if str(one) == subject)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sessions = known.get_data(subjects=[person])[person]
    except Exception as error:  # each data set has a downloader of its own
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: is not on this computer, and could not be fetched ({type(error).__name__}: {reason}). "
            f'Where there is a network: python -c "from moabb.datasets import {reading.dataset}; '
            f'{reading.dataset}().download([{person!r}])", then copy its folder and set MNE_DATA to it'
        ) from None
    if len(sessions) < session:
        raise UserError(f"{path}: subject {subject} has {len(sessions)} sessions: choose another --sessions")
    runs = list(sessions[list(sessions)[session - 1]].values())
    raw = joined([run.copy().load_data(verbose="error") for run in runs])
    return cut(raw, reading, path, subject, session, asked)


def _dataset(reading: MoabbReading, place: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import moabb.datasets
            import moabb.datasets.base
    except ImportError:
        raise UserError(f"{place}: format moabb needs the package moabb: pip install 'biotrain[moabb]'") from None
    names = _names(moabb.datasets)
    if reading.dataset not in names:
        near = difflib.get_close_matches(reading.dataset, names, 3, 0.4) or sorted(names)[:5]
        raise UserError(f"reading.dataset: MOABB has no {reading.dataset!r}: did you mean {', '.join(near)}?")
    try:
        return names[reading.dataset](**reading.arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"reading.arguments: {reading.dataset} does not take them: {error}") from None


def _names(package: Any) -> dict[str, Any]:
    from moabb.datasets.base import BaseDataset
    from moabb.datasets.fake import FakeDataset

    found = {
        name: value for name, value in vars(package).items() if isinstance(value, type) and value is not BaseDataset
    }
    return {name: value for name, value in found.items() if issubclass(value, BaseDataset)} | {
        "FakeDataset": FakeDataset
    }
