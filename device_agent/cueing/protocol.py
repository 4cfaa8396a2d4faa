"""The protocol file of `biotrain calibrate`: which cues, how often, how long, and which part of each is the window."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import UserError
from schemas.misspelt import describe


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timing(_Part):
    """Seconds of one trial."""

    ready_s: float = Field(default=1.0, ge=0.2, le=60, description="a cross to look at, before each cue")
    cue_s: float = Field(default=3.0, gt=0, le=600, description="for as long the cue stands")
    rest_s: tuple[float, float] = Field(default=(1.0, 2.0), description="pause after it: shortest and longest")

    @field_validator("rest_s", mode="before")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= self.rest_s[0] <= self.rest_s[1] <= 600:
            raise ValueError(f"rest_s: {list(self.rest_s)}: give the shortest and the longest pause, 0 to 600 s")
        return self


class WindowPart(_Part):
    """Which part of a trial is the window, seconds from the cue."""

    start_s: float = Field(default=0.0, ge=-10, le=600)
    length_s: float = Field(gt=0, le=600)


class Breaks(_Part):
    """A longer pause now and then."""

    every: int = Field(ge=1, description="trials")
    length_s: float = Field(gt=0, le=3600)


class Protocol(_Part):
    """A recording session as its file describes it: who sees what, how often, for how long, and which window is cut
    after a cue.
    """

    name: str = Field(default="calibration", min_length=1, max_length=100)
    channels: tuple[str, ...] = Field(min_length=1, description="of the stream, in this order")
    sampling_rate_hz: float = Field(gt=0, le=100_000)
    cues: dict[str, str] = Field(min_length=2, description="class -> what is shown")
    repetitions: int = Field(ge=1, le=10_000, description="of each class")
    window: WindowPart
    timing: Timing = Timing()
    breaks: Breaks | None = None
    order: Literal["shuffled", "blocks"] = Field(
        default="shuffled", description="shuffled: every class once before any comes again"
    )
    seed: int = Field(default=0, ge=0)

    @field_validator("cues", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """A list of classes is short for cues that read like their classes."""
        if isinstance(value, list):
            return {str(name): str(name) for name in value}
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels: one is named twice")
        end_s, room_s = self.window.start_s + self.window.length_s, self.timing.cue_s + self.timing.rest_s[0]
        if end_s > room_s:
            raise ValueError(
                f"window: ends {end_s:g} s after the cue, and the next trial may begin after {room_s:g} s: "
                "make timing.cue_s longer, or window.length_s shorter"
            )
        if -self.window.start_s > self.timing.ready_s:
            raise ValueError(
                f"window.start_s: {self.window.start_s:g} begins before its trial: make timing.ready_s longer"
            )
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.cues)

    @property
    def samples(self) -> int:
        """Of a window."""
        return max(round(self.window.length_s * self.sampling_rate_hz), 1)


class Trial(BaseModel):
    """One cue, and the pause behind it."""

    model_config = ConfigDict(frozen=True)

    number: int
    label: str
    rest_s: float
    breaks: bool = False
    """A longer pause follows."""


def trials(protocol: Protocol) -> list[Trial]:
    """Seeded: the same protocol gives the same course."""
    draw = random.Random(protocol.seed)
    labels: list[str] = []
    for _ in range(protocol.repetitions):
        each = list(protocol.classes)
        draw.shuffle(each)
        labels += each
    if protocol.order == "blocks":
        labels = [name for name in protocol.classes for _ in range(protocol.repetitions)]
    made = []
    for number, label in enumerate(labels, 1):
        pause = protocol.breaks is not None and number % protocol.breaks.every == 0 and number < len(labels)
        made.append(Trial(number=number, label=label, rest_s=draw.uniform(*protocol.timing.rest_s), breaks=pause))
    return made


def read_protocol(path: Path) -> Protocol:
    """Raises UserError with file, field and what to do."""
    import yaml  # only those who calibrate wait for it

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such protocol file: check its name") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not a readable YAML file: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a protocol (name: value lines), found {type(content).__name__}")
    try:
        return Protocol.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error, Protocol)}") from None
