"""Which model a topic's payload must be, and the one way from bytes to a checked message."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from schemas.adaptation import Adaptation
from schemas.alert import Alert
from schemas.base import MAX_PAYLOAD_BYTES, Document, Payload, Sequenced
from schemas.command import Command, GroupCommand, Reply
from schemas.desired import Desired, Reported
from schemas.drift import DriftAlert
from schemas.fault import Fault
from schemas.health import Health
from schemas.plan_push import Fetch, Part
from schemas.state import State
from schemas.stored import Stored
from schemas.telemetry import Telemetry
from schemas.topics import DeviceTopic, GroupTopic, Kind

SEQUENCED: dict[Kind, type[Sequenced]] = {
    Kind.STATE: State,
    Kind.TELEMETRY: Telemetry,
    Kind.DRIFT: DriftAlert,
    Kind.ADAPTATION: Adaptation,
    Kind.FAULT: Fault,
    Kind.HEALTH: Health,
    Kind.REPLY: Reply,
}
MODELS: dict[Kind, type[Document]] = {
    **SEQUENCED,
    Kind.ALERT: Alert,
    Kind.COMMAND: Command,
    Kind.STORED: Stored,
    Kind.DESIRED: Desired,
    Kind.REPORTED: Reported,
    Kind.FETCH: Fetch,
    Kind.PART: Part,
}


_Model = TypeVar("_Model", bound=Payload)


class MessageError(ValueError):
    """A payload that is not what its topic promises; says which field and why."""


def parse_message(topic: DeviceTopic, payload: bytes) -> Document:
    """The checked message of a device topic.

    Raises MessageError when it is too large, is not JSON, breaks its schema, or names another
    site or device than its topic.
    """
    model = MODELS.get(topic.kind)
    if model is None:
        raise MessageError(f"nothing is published on {topic.kind!s} in this version")
    message = _read(model, model.SCHEMA, payload)
    if (message.site, message.device) != (topic.site, topic.device):
        raise MessageError(f"payload names {message.site}/{message.device}, its topic {topic.site}/{topic.device}")
    return message


def parse_group_command(topic: GroupTopic, payload: bytes) -> GroupCommand:
    """As `parse_message`, for a group's topic."""
    command = _read(GroupCommand, GroupCommand.SCHEMA, payload)
    if (command.site, command.group) != (topic.site, topic.group):
        raise MessageError(f"payload names group {command.site}/{command.group}, its topic {topic.site}/{topic.group}")
    return command


def _read(model: type[_Model], schema: str, payload: bytes) -> _Model:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MessageError(f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise MessageError(f"{schema}: {where}: {first['msg']}") from None
