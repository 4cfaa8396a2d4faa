"""Folders in BIDS (https://bids-specification.readthedocs.io): `sub-ANNA/ses-01/eeg/...`, events from `events.tsv`."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from device_agent.sources.mne_files import Reading, cut, joined, reading_of
from device_agent.sources.recording import Recording
from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.sources.dataset import DatasetFile


class BidsReading(Reading):
    """`reading` of a data set whose format is `bids`."""

    task: str | None = Field(default=None, description="where a session has several")
    datatype: str = Field(default="eeg", description="eeg, ieeg, meg or emg")


def find_bids(asked: DatasetFile, folder: Path) -> dict[str, dict[int, Path]]:
    """Subject -> session -> folder of its runs. Sessions count from 1 in the order of their labels, if those are no
    numbers. Raises UserError."""
    if not (folder / "dataset_description.json").is_file():
        raise UserError(f"{folder}: is no BIDS folder: it has no dataset_description.json")
    datatype = reading_of(asked, BidsReading, folder).datatype
    found: dict[str, dict[int, Path]] = {}
    for person in sorted(folder.glob("sub-*")):
        sessions = sorted(path for path in person.glob("ses-*") if (path / datatype).is_dir())
        numbers = _numbers([path.name.removeprefix("ses-") for path in sessions])
        named = {number: path / datatype for number, path in zip(numbers, sessions, strict=True)}
        if not sessions and (person / datatype).is_dir():
            named = {1: person / datatype}
        if named:
            found[person.name.removeprefix("sub-")] = dict(sorted(named.items()))
    if not found:
        raise UserError(f"{folder}: holds no sub-*/ses-*/{datatype}: is reading.datatype right?")
    return found


def _numbers(labels: list[str]) -> list[int]:
    if all(re.fullmatch(r"\d+", label) for label in labels) and len({int(label) for label in labels}) == len(labels):
        return [int(label) for label in labels]
    return list(range(1, len(labels) + 1))


def read_bids(path: Path, subject: str, session: int, asked: DatasetFile) -> Recording:
    """All runs of a session, one behind the other. Raises UserError."""
    try:
        import mne_bids
    except ImportError:
        raise UserError(f"{path}: the package mne-bids is needed to read it: pip install 'biotrain[bids]'") from None
    reading = reading_of(asked, BidsReading, path)
    root = path.parent if path.parent.name.startswith("sub-") else path.parent.parent
    while root.name.startswith(("sub-", "ses-")):
        root = root.parent
    label = path.parent.name.removeprefix("ses-") if path.parent.name.startswith("ses-") else None
    here = mne_bids.BIDSPath(
        root=root, subject=subject, session=label, task=reading.task, datatype=reading.datatype, suffix=reading.datatype
    )
    runs = sorted({str(run.fpath): run for run in here.match() if run.extension in _READABLE}.items())
    tasks = {run.task for _, run in runs}
    if not runs:
        raise UserError(f"{path}: holds no recording of task {reading.task}: look at reading.task")
    if len(tasks) > 1:
        raise UserError(f"{path}: has tasks {', '.join(sorted(map(str, tasks)))}: choose one with reading.task")
    return cut(joined([_raw(run, name) for name, run in runs]), reading, path, subject, session, asked)


_READABLE = (".vhdr", ".edf", ".bdf", ".set", ".fif")


def _raw(run: Any, name: str) -> Any:
    import mne_bids

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sidecar files that are optional
            return mne_bids.read_raw_bids(run, verbose="error").load_data(verbose="error")
    except Exception as error:  # whatever the format's parser and the sidecars' meet
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{name}: cannot be read ({type(error).__name__}: {reason}): check it with bids-validator"
        ) from None
