"""What an operator asks of a device, and what the device answers."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.base import Document, Name, Sequenced


class Verb(StrEnum):
    ADAPT = "adapt"
    ROLL_BACK = "roll_back"
    PING = "ping"


class Command(Document):
    """Executed at most once by its `command_id`; refused when it has expired."""

    SCHEMA: ClassVar[str] = "biotrain.command/1"

    command_id: Name
    verb: Verb
    issued_by: str = Field(default="", max_length=100)
    expires: AwareDatetime | None = None


class ReplyStatus(StrEnum):
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Reply(Sequenced):
    """`accepted` may be followed by one of the others; the others end the command."""

    SCHEMA: ClassVar[str] = "biotrain.reply/1"

    command_id: Name
    status: ReplyStatus
    detail: str = Field(default="", max_length=500)
