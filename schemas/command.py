"""What an operator asks of a device, and what the device answers."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from schemas.base import Document, Name, Payload, Sequenced, utc_now


class Verb(StrEnum):
    """What a device can be told to do."""

    ADAPT = "adapt"
    ROLL_BACK = "roll_back"
    PING = "ping"
    PUSH_PLAN = "push_plan"
    """Recorded under this name; it reaches the device as part of its desired state."""


class Command(Document):
    """Executed at most once by its `command_id`; refused when it has expired."""

    SCHEMA: ClassVar[str] = "biotrain.command/1"

    command_id: Name
    verb: Verb
    issued_by: str = Field(default="", max_length=100)
    expires: AwareDatetime | None = None


class GroupCommand(Payload):
    """One command to every device that listens to the group; each answers for itself, under the same `command_id`."""

    SCHEMA: ClassVar[str] = "biotrain.group-command/1"

    schema_name: Literal["biotrain.group-command/1"] = Field(default="biotrain.group-command/1", alias="schema")
    site: Name
    group: Name
    time: AwareDatetime = Field(default_factory=utc_now, description="when it happened, UTC, the publisher's clock")
    command_id: Name
    verb: Verb
    issued_by: str = Field(default="", max_length=100)
    expires: AwareDatetime | None = None

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    def for_device(self, device: str) -> Command:
        """What it asks of one of them."""
        return Command(
            site=self.site,
            device=device,
            time=self.time,
            command_id=self.command_id,
            verb=self.verb,
            issued_by=self.issued_by,
            expires=self.expires,
        )


class ReplyStatus(StrEnum):
    """`accepted` comes first where the work takes a while; the others are a command's last word."""

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
