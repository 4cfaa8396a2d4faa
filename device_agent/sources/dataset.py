"""A data set as one declarative file: where recordings lie, what in them counts, and how windows are prepared.

Pre-training, evaluation and the agent read the same file, so that none of them can see other windows than the others.
`open_dataset` takes such a file, or a bare folder of `SUBJECT_sessionN.npz`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device_agent.sources.formats import FINDERS, reader
from device_agent.sources.recording import Recording, check_same_layout
from device_agent.sources.shape import shaped
from schemas.errors import UserError
from schemas.misspelt import describe

FILE_NAME = "dataset.yaml"
"""Looked for in a folder of recordings; a folder without one is described by the defaults."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Filter(_Part):
    """A causal Butterworth filter, or a notch. Becomes second-order sections of the plan."""

    kind: Literal["highpass", "lowpass", "bandpass", "notch"]
    low_hz: float | None = Field(default=None, gt=0, description="lower corner; the frequency of a notch")
    high_hz: float | None = Field(default=None, gt=0, description="upper corner")
    order: int = Field(default=2, ge=1, le=8)
    quality: float = Field(default=30.0, gt=0, description="of a notch: its frequency over its width")

    @model_validator(mode="after")
    def _corners(self) -> Self:
        needs = {"highpass": (True, False), "lowpass": (False, True), "bandpass": (True, True), "notch": (True, False)}
        if (self.low_hz is not None, self.high_hz is not None) != needs[self.kind]:
            names = [name for name, needed in zip(("low_hz", "high_hz"), needs[self.kind], strict=True) if needed]
            raise ValueError(f"a {self.kind} takes {' and '.join(names)}")
        if self.low_hz is not None and self.high_hz is not None and self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz {self.low_hz:g} is not below high_hz {self.high_hz:g}")
        return self


class Steps(_Part):
    """From the amplifier's window to the model's input; part of the plan, in this order."""

    reference: Literal["none", "average"] = "none"
    filters: tuple[Filter, ...] = ()
    logarithm: Literal["auto", "never"] = Field(default="auto", description="auto: of signals that are never negative")
    centre: bool = Field(default=False, description="subtract each channel's mean over the window")
    scale: Literal["channel", "all", "none"] = Field(
        default="channel", description="to deviation 1 over the training people: each channel, or all by one factor"
    )
    alignment: Literal["none", "euclidean"] = Field(
        default="none", description="euclidean: each person's mean covariance becomes the identity, without labels"
    )


class WindowPart(_Part):
    """Which part of a trial is the window, seconds after its onset."""

    start_s: float = Field(default=0.0, description="negative: before the onset (continuous recordings only)")
    length_s: float | None = Field(default=None, gt=0, description="None: to the trial's end")


class Split(_Part):
    """The last repetitions test, the first ones train; all windows of a repetition stand on one side."""

    test_share: float = Field(default=0.2, gt=0, lt=1)
    repetition: str | None = Field(default=None, description="field that numbers repetitions; None: each trial is one")
    strata: tuple[str, ...] = Field(default=(), description="fields whose every value is split by itself, as posture")


class DatasetFile(_Part):
    """What stands in the file."""

    name: str = Field(default="recordings", min_length=1)
    description: str = ""
    licence: str = ""
    format: str = "npz"
    folder: str = Field(default=".", description="relative to this file; ${NAME} and ${NAME:-default} are replaced")
    pattern: str = Field(
        default="{subject}_session{session}.npz",
        description="of the files' paths; * matches within a name; without {session} every file is session 1",
    )
    subjects: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = Field(default=None, description="in this order; None: all")
    classes: Mapping[str, tuple[str, ...]] | None = Field(
        default=None, description="class -> labels or events that mean it; trials with others are left out. None: all"
    )
    window: WindowPart = WindowPart()
    preprocessing: Steps = Steps()
    split: Split = Split()
    reading: Mapping[str, Any] = Field(default={}, description="further words to the format's reader")

    @field_validator("classes", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """A list of names is short for classes that are named like their labels."""
        if isinstance(value, list):
            return {str(name): (str(name),) for name in value}
        if isinstance(value, dict):
            return {str(k): tuple(map(str, v)) if isinstance(v, list) else (str(v),) for k, v in value.items()}
        return value

    @field_validator("pattern")
    @classmethod
    def _places(cls, value: str) -> str:
        if value.count("{subject}") != 1 or value.count("{session}") > 1:
            raise ValueError(f"{value!r} must hold {{subject}} once, and {{session}} not more than once")
        return value

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError("classes: name at least two")
        return self


SHAPES_TRAINING = {"format", "channels", "classes", "window", "preprocessing", "reading"}
"""Fields that decide what a model is trained on."""


class Dataset:
    """Recordings of several people and sessions, as their file describes them."""

    def __init__(self, file: DatasetFile, folder: Path, place: Path) -> None:
        self.file, self.folder, self.place = file, folder, place
        self._found: dict[str, dict[int, Path]] | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self.find())

    def find(self) -> dict[str, dict[int, Path]]:
        """Subject -> session -> path. Raises UserError when there is none."""
        if self._found is None:
            self._found = self._look()
        return self._found

    def sessions(self, subject: str) -> dict[int, Path]:
        """Session -> path of one person. Raises UserError."""
        found = self.find()
        if subject not in found:
            raise UserError(f"{self.place}: holds nobody named {subject!r}: choose one of {', '.join(found)}")
        return found[subject]

    def load(self, subject: str, session: int) -> Recording:
        return self.load_sessions(subject, [session])[0]

    def load_sessions(self, subject: str, sessions: list[int] | None = None) -> list[Recording]:
        """A person's sessions (all when None), in the order asked for. All have the same layout."""
        found = self.sessions(subject)
        wanted = list(found) if sessions is None else sessions
        missing = [number for number in wanted if number not in found]
        if missing:
            have = ", ".join(map(str, found))
            raise UserError(f"{self.place}: {subject} has no session {missing[0]}: choose among {have}")
        paths = [found[number] for number in wanted]
        recordings = [self.read(path, subject, number) for path, number in zip(paths, wanted, strict=True)]
        for recording, path in zip(recordings, paths, strict=True):
            check_same_layout(recordings[0], recording, path)
        return recordings

    def read(self, path: Path, subject: str, session: int) -> Recording:
        """One file, in the shape that the data set asks for."""
        recording = reader(self.file.format)(path, subject, session, self.file)
        return shaped(recording, self.file, path)

    def _look(self) -> dict[str, dict[int, Path]]:
        if self.file.format in FINDERS:
            there = FINDERS[self.file.format](self.file, self.folder)
            chosen = {name: there[name] for name in there if self.file.subjects is None or name in self.file.subjects}
            if not chosen:
                raise UserError(f"{self.place}: subjects: holds none of them: choose among {', '.join(there)}")
            return chosen
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: there is no such folder of recordings: check --data")
        pattern = path_regex(self.file.pattern)
        found: dict[str, dict[int, Path]] = {}
        for path in sorted(self.folder.rglob("*")):
            named = pattern.fullmatch(path.relative_to(self.folder).as_posix())
            if named and (self.file.subjects is None or named["subject"] in self.file.subjects):
                subject, session = named["subject"], int(named.groupdict().get("session") or 1)
                other = found.setdefault(subject, {}).setdefault(session, path)
                if other != path:
                    raise UserError(
                        f"{self.place}: pattern: {other} and {path} are both session {session} of {subject}: write a "
                        "pattern that tells them apart"
                    )
        if not found:
            shown = self.file.pattern.format(subject="SUBJECT", session="N")
            raise UserError(f"{self.folder}: holds no recordings: expected files named {shown}{self._instead()}")
        return {subject: dict(sorted(sessions.items())) for subject, sessions in sorted(found.items())}

    def _instead(self) -> str:
        """For those who bring continuous recordings and no file that describes them."""
        if self.place != self.folder:
            return ""
        return f"; for EDF, BDF, GDF, FIF or BrainVision files `biotrain data {self.place} --write` writes {FILE_NAME}"


def open_dataset(place: Path) -> Dataset:
    """A data set's file, or a folder of recordings (with or without a dataset.yaml). Raises UserError."""
    if place.suffix in (".yaml", ".yml"):
        return _from_file(place)
    if (place / FILE_NAME).is_file():
        return _from_file(place / FILE_NAME)
    return Dataset(DatasetFile(name=place.name or "recordings"), place, place)


def _from_file(path: Path) -> Dataset:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such data set file: check --data") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable YAML file: {error}") from None
    return parse_dataset(text, path)


def parse_dataset(text: str, path: Path) -> Dataset:
    """The data set that `text` describes, as if it stood in `path`. Raises UserError with the field."""
    import yaml  # only those who have such a file wait for it

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not a readable YAML file: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a data set (name: value lines), found {type(content).__name__}")
    try:
        file = DatasetFile.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error, DatasetFile)}") from None
    return Dataset(file, (path.parent / _expand(file.folder, path)).resolve(), path)


def _expand(text: str, path: Path) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match["name"]) or match["default"]
        if found is None:
            raise UserError(f"{path}: folder: the environment has no {match['name']}")
        return found

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}", value, text)


def path_regex(pattern: str) -> re.Pattern[str]:
    """Of a data set's `pattern`, for paths relative to its folder; groups `subject` and, if it has one, `session`."""
    escaped = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\{subject\}", r"(?P<subject>[^/]+)")
    return re.compile(escaped.replace(r"\{session\}", r"(?P<session>\d+)"))
