"""A plan on its way to a device: what is wished for, the pieces in which it comes, and what became of it.

The device asks for one piece after the other (`fetch`), the supervisor answers each (`part`), both named by the
SHA-256 of the whole file: a piece that is lost is asked for again, and one that was altered is found out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Base64Bytes, Field

from schemas.base import Document, Name, Payload

#: Of one piece: as base64 it stays below the largest payload.
PART_BYTES = 32_768
#: Of a plan and of a weights file: what the largest device has room for.
LARGEST_FILE_BYTES = 1_048_576
_SHA256 = r"^[0-9a-f]{64}$"


class FileRef(Payload):
    """A file by what is in it."""

    sha256: str = Field(pattern=_SHA256)
    size: int = Field(ge=1, le=LARGEST_FILE_BYTES, description="bytes")


class PlanWish(Payload):
    """Which plan a device should run. Either `plan`, or `back`."""

    command_id: Name = Field(description="what its replies are to")
    model: str = Field(default="", max_length=64, description="the plan's name for its model, for people")
    plan: FileRef | None = None
    weights: FileRef | None = Field(
        default=None, description="what it begins with; null: the device's own, where they go with the plan"
    )
    back: bool = Field(default=False, description="the plan from before the last push, with the weights of then")
    instead_of: str | None = Field(
        default=None, pattern=_SHA256, description="`back`: only where this plan file is what runs by a push"
    )


class PlanStep(StrEnum):
    """How far a device has come with its wish."""

    FETCHING = "fetching"
    WAITING = "waiting"
    WRITING = "writing"
    RUNNING = "running"
    REFUSED = "refused"
    FAILED = "failed"


class PlanReport(Payload):
    """What became of the newest wish, and what runs."""

    command_id: Name | None = Field(default=None, description="the newest wish; null before there was one")
    step: PlanStep = PlanStep.RUNNING
    detail: str = Field(default="", max_length=500)
    plan_hash: str | None = Field(default=None, pattern=_SHA256, description="of the plan that runs")
    weights_version: int = Field(default=0, ge=0)
    since_window: int = Field(default=0, ge=0, description="the first window that it may have predicted")


class Fetch(Document):
    """A device asks for a piece of a file."""

    SCHEMA: ClassVar[str] = "biotrain.fetch/1"

    sha256: str = Field(pattern=_SHA256, description="of the whole file")
    offset: int = Field(ge=0, le=LARGEST_FILE_BYTES)


class Part(Document):
    """A piece of a file; `data` is empty where there is no such file."""

    SCHEMA: ClassVar[str] = "biotrain.part/1"

    sha256: str = Field(pattern=_SHA256, description="of the whole file")
    offset: int = Field(ge=0, le=LARGEST_FILE_BYTES)
    size: int = Field(ge=0, le=LARGEST_FILE_BYTES, description="of the whole file; 0 where it is not known")
    data: Base64Bytes = Field(description="at most 32,768 bytes, as base64")
